import { globalOf, viewName } from './kinds.js';

/** The part of `Buffer` that is used where the platform has one. */
interface BufferClass {
  from(text: string, encoding: 'utf8' | 'base64'): Uint8Array;
  from(memory: ArrayBufferLike, offset?: number, length?: number): Uint8Array & TextBytes;
}

interface TextBytes {
  toString(encoding: 'base64'): string;
}

/**
 * The bytes a view shows, in memory of their own. Not `Buffer.from(bytes)`: its small buffers share one piece of memory,
 * and `.buffer` would give a holder of one the bytes of others.
 */
export function ownBytes(view: ArrayBufferView): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytesOf(view));
}

/** The bytes a view shows, in place. */
export function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** A view of all of `memory`; `name` is one of a class of views, or `'Buffer'`. */
export function viewOf(name: string, memory: ArrayBuffer): ArrayBufferView {
  if (name === 'Buffer') return bufferClass()?.from(memory) ?? new Uint8Array(memory);
  return new (globalOf(name) as new (memory: ArrayBuffer) => ArrayBufferView)(memory);
}

/** A copy of the same class that keeps only what the view shows, so that a small view does not hold a large buffer. */
export function copyView(view: ArrayBufferView, isBuffer: boolean): ArrayBufferView {
  return viewOf(isBuffer ? 'Buffer' : viewName(view), ownBytes(view).buffer);
}

/** UTF-8. Where there is `Buffer`, small texts share memory: for storages, which do not hand it on. */
export function utf8(text: string): Uint8Array {
  return bufferClass()?.from(text, 'utf8') ?? encoder.encode(text);
}

export function toBase64(bytes: Uint8Array): string {
  const buffers = bufferClass();
  if (buffers)
    return buffers.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  let text = '';
  // In parts that fit an argument list.
  for (let at = 0; at < bytes.length; at += 0x8000)
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

/** `undefined` for text that is no Base64. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const buffers = bufferClass();
  return buffers
    ? new Uint8Array(buffers.from(text, 'base64'))
    : Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

const encoder = new TextEncoder();

function bufferClass(): BufferClass | undefined {
  return globalOf('Buffer') as BufferClass | undefined;
}
