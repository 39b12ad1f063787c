import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CacheModule, CacheService, type CacheModuleOptions } from 'nestjs-scoped-cache';

/** The service as an application gets it. */
export async function openCache(options: CacheModuleOptions): Promise<CacheService> {
  class AppModule {}
  Module({ imports: [CacheModule.forRoot(options)] })(AppModule);
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
  return app.get(CacheService);
}
