/** Redis storage. Needs the peer `ioredis`. */
export { redisBus } from './storages/redis/redis-bus.js';
export { redisStorage } from './storages/redis/redis-storage.js';
export type { CompressionOptions, RedisStorageOptions } from './storages/redis/redis-options.js';
