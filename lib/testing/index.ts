// Contract suites for parts of one's own; they bind no test runner
export { storageContract, type StorageContractOptions } from './storage-contract.js';
export { evictionRuleContract, type EvictionRuleContractOptions } from './rule-contract.js';
export { serializerContract, type SerializerContractOptions } from './serializer-contract.js';
export { scopeResolverContract, type ScopeResolverContractOptions } from './resolver-contract.js';
export type { ContractOptions, ContractRunner } from './runner.js';
export { ContractViolation } from './assertions.js';

// Caches and their surroundings in tests
export { createTestCache, type TestSurroundings } from './create-test-cache.js';
export { testPlatform } from './test-platform.js';
export { ManualClock } from './manual-clock.js';
export { FaultyStorage } from './faulty-storage.js';
export { mapStorage } from './map-storage.js';
export { RecordingListener, type RecordedEvent } from './recording-listener.js';
export { deferred, type Deferred } from './deferred.js';
