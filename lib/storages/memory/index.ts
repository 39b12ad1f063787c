export { memoryStorage, type MemoryStorageOptions, type ScopeLimits } from './memory-storage.js';
