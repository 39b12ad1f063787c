import { type DynamicModule, Module } from '@nestjs/common';
import { CacheModule, memoryStorage, tieredStorage } from 'nestjs-scoped-cache';
import { redisStorage } from 'nestjs-scoped-cache/redis';
import { PricesController } from './prices.controller.js';

/** One node of the shop: near copies in this process, the truth on Redis. */
@Module({})
export class AppModule {
  static withRedis(url: string): DynamicModule {
    const storage = tieredStorage({
      near: memoryStorage({ maxEntries: 10_000 }),
      far: redisStorage({ url }),
      heartbeat: '200ms',
    });
    return {
      module: AppModule,
      imports: [CacheModule.forRoot({ storage, ttl: '10m' })],
      controllers: [PricesController],
    };
  }
}
