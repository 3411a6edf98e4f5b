import { hash } from 'node:crypto';

/** Copied from a string into Node's pool: a buffer of its own for each hash doubles the cost (docs/performance.md). */
export const sha256 = (data: string | Uint8Array): Buffer =>
  Buffer.from(hash('sha256', data, 'binary'), 'binary');
