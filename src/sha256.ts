import { hash } from 'node:crypto';

/** Read from a string, for Node has a pool for that: with memory of its own it takes 4.0 µs, not 1.8. */
export const sha256 = (data: string | Uint8Array): Buffer =>
  Buffer.from(hash('sha256', data, 'binary'), 'binary');
