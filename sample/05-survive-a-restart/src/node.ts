/** The application. Started by `main.ts`, which hears by a message where it listens. */
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { AppModule, type Kind } from './app.module.js';

const [folder, kind] = process.argv.slice(2) as [string, Kind];
const app = await NestFactory.create(AppModule.in(folder, kind), { logger: ['error', 'warn'] });
// SIGTERM closes the application, which writes the last snapshot.
app.enableShutdownHooks();
await app.listen(0, '127.0.0.1');
process.send!({ url: await app.getUrl() });
process.once('disconnect', () => void app.close());
