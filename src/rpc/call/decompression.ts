/**
 * Decompresses requests, a few at a time: a message of 3 KB can become one of 3 MiB, so many at once would take
 * gigabytes. grpc-js decompresses as many as arrive.
 */
import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';
import pLimit from 'p-limit';

/** Of the encodings that grpc-js knows. */
const DECOMPRESS = { gzip: promisify(gunzip), deflate: promisify(inflate) };

/** More would only wait for each other: libuv has four threads, for everything. */
const AT_ONCE = 2;
/** More are refused: those at the end would wait for a second. */
const WAITING_MAX = 256;

export type Encoding = keyof typeof DECOMPRESS;

export const isCompressed = (encoding: string): encoding is Encoding =>
  Object.hasOwn(DECOMPRESS, encoding);

export class TooManyCompressed extends Error {}

export class Decompression {
  readonly #inTurn = pLimit(AT_ONCE);

  /**
   * The message, of at most `lengthMax` bytes. Rejects with ERR_BUFFER_TOO_LARGE where it is longer, with
   * TooManyCompressed where too many wait. `isOver`: nobody waits for it any more; it is then left as it is.
   */
  async decompress(
    message: Uint8Array,
    encoding: Encoding,
    lengthMax: number,
    isOver: () => boolean,
  ): Promise<Buffer> {
    const { activeCount, pendingCount } = this.#inTurn;
    if (activeCount + pendingCount >= AT_ONCE + WAITING_MAX) throw new TooManyCompressed();
    return await this.#inTurn(async () => {
      if (isOver()) throw new Error('its call is over');
      return await DECOMPRESS[encoding](message, { maxOutputLength: lengthMax });
    });
  }
}
