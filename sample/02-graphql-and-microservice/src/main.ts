import { createApp } from './app.js';
import { whatToTry } from './what-to-try.js';

const warehousePort = Number(process.env.WAREHOUSE_PORT ?? 3001);
const app = await createApp(warehousePort);
// The cache closes with the application, so the application must hear of Ctrl+C.
app.enableShutdownHooks();
await app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
console.log(whatToTry(await app.getUrl(), warehousePort));
