import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { RedisServer } from './redis-server.js';
import { show } from './show.js';

const redis = await RedisServer.start();
const children: ChildProcess[] = [];
try {
  const nodes = (await Promise.all([startNode(), startNode()])) as [string, string];
  const shown = await show(nodes, redis, (line) => console.log(line));
  console.log(JSON.stringify(shown));
} finally {
  for (const child of children) if (child.connected) child.disconnect();
  await redis.stop();
}

function startNode(): Promise<string> {
  const child = fork(fileURLToPath(new URL('./node.js', import.meta.url)), [redis.url]);
  children.push(child);
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve((message as { url: string }).url));
    child.once('exit', (code) => reject(new Error(`A node ended with ${code}.`)));
  });
}
