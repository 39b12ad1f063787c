import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Transport, type MicroserviceOptions } from '@nestjs/microservices';
import { AppModule } from './app.module.js';

/**
 * The hybrid application, not listening for HTTP yet: GraphQL over HTTP, and the warehouse over TCP.
 * @param warehousePort where the warehouse listens, and where the API finds it
 */
export async function createApp(warehousePort: number): Promise<INestApplication> {
  const app = await NestFactory.create(AppModule.withWarehouseAt(warehousePort), {
    logger: ['error', 'warn'],
    forceCloseConnections: true,
  });
  app.connectMicroservice<MicroserviceOptions>(
    { transport: Transport.TCP, options: { host: '127.0.0.1', port: warehousePort } },
    { inheritAppConfig: true },
  );
  await app.startAllMicroservices();
  return app;
}
