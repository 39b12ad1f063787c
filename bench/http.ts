/**
 * A cached route beside the same route returning a ready object, over real HTTP, on Express and on Fastify: what caching
 * costs per request when there is nothing to win.
 */
import 'reflect-metadata';
import { Controller, Get, Header, Module } from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Agent, request } from 'node:http';
import { Cacheable, CacheModule } from 'nestjs-scoped-cache';
import {
  measure,
  ratio,
  report,
  type Contender,
  type Floor,
  type Measured,
} from './support/measure.js';

const READY = { id: 1, name: 'Ada', tags: ['a', 'b'], address: { city: 'x', zip: 1 } };
const IN_FLIGHT = 32;

@Controller()
class Routes {
  @Get('ready')
  ready(): object {
    return READY;
  }

  /** What a header of that length costs by itself. */
  @Get('header')
  @Header('Cache-Status', 'nestjs-scoped-cache; hit; ttl=3599')
  header(): object {
    return READY;
  }

  @Get('cached')
  @Cacheable({ scope: 'global', ttl: '1h' })
  cached(): object {
    return READY;
  }
}

@Module({ imports: [CacheModule.forRoot()], controllers: [Routes] })
class AppModule {}

const results: Record<string, Measured[]> = {};
const floors: Floor[] = [];
for (const platform of ['express', 'fastify'] as const) {
  const app =
    platform === 'express'
      ? await NestFactory.create(AppModule, { logger: false })
      : await NestFactory.create(AppModule, new FastifyAdapter(), { logger: false });
  await app.listen(0, '127.0.0.1');
  const measured = await measure(
    ['ready', 'header', 'cached'].map((path) => route(app, path)),
    {
      rounds: 15,
      ms: 1_000,
      collects: false,
    },
  );
  results[platform] = measured;
  floors.push({
    what: `${platform}: cached / ready`,
    floor: 0.95,
    reached: ratio(measured, 'cached', 'ready'),
  });
  await app.close();
}
report('http', results, floors);

function route(app: INestApplication, path: string): Contender {
  const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT });
  const { port } = app.getHttpServer().address() as { port: number };
  const once = (): Promise<void> =>
    new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port, path: `/${path}`, agent }, (response) => {
        response.on('end', resolve).resume();
      })
        .on('error', reject)
        .end();
    });
  return {
    name: path,
    async run(times) {
      let left = times;
      const worker = async (): Promise<void> => {
        while (left-- > 0) await once();
      };
      await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
    },
  };
}
