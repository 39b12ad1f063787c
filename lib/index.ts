// Setting it up
export { CacheModule } from './nest/cache.module.js';
export type {
  CacheFeatureOptions,
  CacheModuleAsyncOptions,
  CacheModuleOptions,
  CacheOptionsFactory,
} from './nest/cache-module-options.js';
export { CACHE_PLATFORM, getCacheToken, InjectCache } from './nest/tokens.js';
export { CacheRegistry } from './nest/cache-registry.js';

// Caching by hand
export { CacheService } from './nest/cache.service.js';
export { Cache } from './core/cache.js';
export type { LoadReport } from './core/cache-reader.js';
export { ScopedCache } from './core/scoped-cache.js';
export { CacheMap } from './core/cache-map.js';
export type { CacheKey as CacheKeyParts } from './core/cache-key.js';
export type {
  CacheOptions,
  CacheStats,
  ChangeOptions,
  GetOptions,
  IncrementOptions,
  ListedValue,
  ListingOptions,
  LoadContext,
  Loader,
  LoadingOptions,
  LoadOptions,
  LookupOptions,
  ManyLoader,
  ScopeOption,
  SetOptions,
  TierOptions,
  TouchOptions,
  TypeOption,
} from './core/cache-options.js';
export type { Duration } from './core/duration.js';
export type { Hit, InheritedLookup, Lookup, Miss } from './core/lookup.js';

// Caching by decorators
export { Cacheable } from './nest/decorators/cacheable.js';
export { CacheEvict } from './nest/decorators/cache-evict.js';
export { CachePut } from './nest/decorators/cache-put.js';
export { Caching, type CachingOptions } from './nest/decorators/caching.js';
export { CacheConfig } from './nest/decorators/cache-config.js';
export { CacheKey } from './nest/decorators/cache-key.js';
export { decoratedKey } from './nest/method/entry-key.js';
export type { CallContext } from './nest/method/call-context.js';
export type {
  CacheableOptions,
  CacheConfigOptions,
  CacheEvictOptions,
  CachePutOptions,
  KeyGenerator,
  OperationOptions,
  PerCall,
  Test,
} from './nest/method/operation-options.js';

// Scopes and where their ids come from
export type {
  ScopeContext,
  ScopeId,
  ScopeIds,
  ScopeLevel,
  ScopeLevelOptions,
  ScopeNode,
  ScopeResolver,
  ScopeSelector,
} from './core/scope.js';
export { ScopePath } from './core/scope.js';
export { ScopeTree } from './core/scope-tree.js';
export type { RequestContext } from './nest/request-context.js';
export { CacheScopeInterceptor } from './nest/cache-scope.interceptor.js';

// Storages and eviction rules
export {
  memoryStorage,
  type MemoryStorageOptions,
  type ScopeLimits,
} from './storages/memory/index.js';
export { tieredStorage, type TieredStorageOptions } from './storages/tiered/index.js';
export { lru, type LruOptions } from './core/eviction/lru.js';
export { maxItems, type MaxItemsOptions } from './core/eviction/max-items.js';
export { timeToLive, type TimeToLiveOptions } from './core/eviction/time-to-live.js';

// Encryption at rest
export { aes256Gcm, type Aes256GcmOptions, type KeyRing } from './platform/aes256-gcm.js';
export type { ValueCipher } from './core/value-cipher.js';

// Writing one's own parts
export type {
  EvictionRule,
  RuleAnswer,
  RuleEffect,
  RuleEntry,
  RuleHost,
} from './core/eviction/eviction-rule.js';
export type {
  Awaitable,
  BasicStorage,
  CacheStorage,
  Change,
  ChangeResult,
  EntryAddress,
  Lease,
  LeaseAnswer,
  Leases,
  ListedEntry,
  ListOptions,
  OpenStorage,
  Platform,
  ReadOptions,
  RestoreReport,
  SnapshotControl,
  StorageDriver,
  StorageHost,
  WriteOptions,
} from './core/storage.js';
export type { NewEntry, RemovalReason, StoredEntry } from './core/entry.js';
export type { BusConnection, BusHandlers, CacheBus } from './core/bus.js';
export type { Clock } from './core/clock.js';
export type { CacheFault, CacheListener } from './core/cache-listener.js';
export { jsonSerializer, type Serializer } from './core/value/serializer.js';
export type { ClassCodec } from './core/value/class-codecs.js';
export type { Isolation } from './core/value/value-policy.js';

// What can go wrong
export {
  BulkLoadError,
  CacheError,
  EntryNotFoundError,
  InvalidDurationError,
  InvalidKeyError,
  InvalidOptionsError,
  LoadTimeoutError,
  MissingScopeError,
  SerializationError,
  StorageUnavailableError,
  UnknownScopeError,
  UnsupportedError,
  type CacheErrorCode,
} from './core/errors.js';
