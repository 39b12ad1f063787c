/** Inner parts of the engine for tests outside test/unit, which see only the entry points otherwise. */
export { decodeKey, encodeKey } from '../../../../lib/core/cache-key.js';
export { globMatcher } from '../../../../lib/core/glob.js';
export { richSerializer } from '../../../../lib/core/value/serializer.js';
