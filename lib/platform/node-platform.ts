import { hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { nodeClock } from './node-clock.js';
import type { Platform } from '../core/storage.js';

/** What the core needs of the machine, on Node.js: its clocks, SHA-256, CRC-32 and its randomness. */
export const nodePlatform: Platform = Object.freeze({
  clock: nodeClock,
  digest: (text: string) => hash('sha256', text, 'hex'),
  checksum: (bytes: Uint8Array) => crc32(bytes),
  // 144 bits; base64url holds no character that a key or a path would have to escape.
  randomToken: () => randomBytes(18).toString('base64url'),
  random: () => Math.random(),
});
