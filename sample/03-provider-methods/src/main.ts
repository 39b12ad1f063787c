import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { show } from './show.js';

const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
await show(app, console.log);
await app.close();
