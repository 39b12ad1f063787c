import { join } from 'node:path';
import { type DynamicModule, Module } from '@nestjs/common';
import { CacheModule, memoryStorage, type StorageDriver } from 'nestjs-scoped-cache';
import { fileStorage, withSnapshots } from 'nestjs-scoped-cache/file';
import { ReportsController } from './reports.controller.js';

/** The two ways in which entries outlive the process. */
export const KINDS = ['files', 'snapshots'] as const;
export type Kind = (typeof KINDS)[number];

@Module({})
export class AppModule {
  static in(folder: string, kind: Kind): DynamicModule {
    return {
      module: AppModule,
      imports: [CacheModule.forRoot({ storage: storageIn(folder, kind), ttl: '1m' })],
      controllers: [ReportsController],
    };
  }
}

function storageIn(folder: string, kind: Kind): StorageDriver {
  if (kind === 'files') return fileStorage({ directory: join(folder, 'cache') });
  // Every half second so that the story need not wait; five minutes is the default.
  return withSnapshots(memoryStorage(), { file: join(folder, 'cache.snap'), every: '500ms' });
}
