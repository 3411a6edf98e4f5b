import { hash } from 'node:crypto';

/** The 32 bytes. Taken from a string, because Node allocates such buffers from its pool, which is faster. */
export const sha256 = (data: string | Uint8Array): Buffer =>
  Buffer.from(hash('sha256', data, 'binary'), 'binary');
