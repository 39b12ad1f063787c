import type { StorageDriver } from '../../core/storage.js';
import { Connection } from './connection.js';
import { OpenRedis, refuseRules } from './open-redis.js';
import { redisBus } from './redis-bus.js';
import { resolveRedisOptions, type RedisStorageOptions } from './redis-options.js';

/**
 * Keeps entries on Redis (6.2 and later) or Valkey: one server, behind Sentinel, or a Cluster. Scopes and tags are evicted
 * at a cost that does not grow with their entries; loads run once in the fleet; see docs/redis.md.
 *
 * Caches opened with the same object share one connection, which closes with the last of them.
 * @throws InvalidOptionsError for unknown, missing or wrong options, and when the cache has eviction rules
 */
export function redisStorage(options: RedisStorageOptions): StorageDriver {
  const resolved = resolveRedisOptions(options);
  let connection: Connection | undefined;
  let users = 0;
  return {
    name: 'redis',
    bus: redisBus(options),
    open(host) {
      refuseRules(host);
      const shared = (connection ??= Connection.open(resolved));
      users++;
      return new OpenRedis(host, shared, async () => {
        if (--users > 0) return;
        connection = undefined;
        await shared.close();
      });
    },
  };
}
