/** One application process. Started by `main.ts`, which hears by a message where it listens. */
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';

const app = await NestFactory.create(AppModule.withRedis(process.argv[2]!), {
  logger: ['error'],
});
app.enableShutdownHooks();
await app.listen(0, '127.0.0.1');
process.send!({ url: await app.getUrl() });
process.once('disconnect', () => void app.close());
