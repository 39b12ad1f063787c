import { createApp } from './app.js';
import { whatToTry } from './what-to-try.js';

const platform = process.env.PLATFORM === 'fastify' ? 'fastify' : 'express';
const app = await createApp(platform);
// The cache closes with the application, so the application must hear of Ctrl+C.
app.enableShutdownHooks();
await app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
console.log(whatToTry(await app.getUrl(), platform));
