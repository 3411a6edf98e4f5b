import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { expect, test } from 'vitest';
import { type Codec, encodeMessage } from '../../src/rpc/call/codec.ts';

const numbers: Codec<readonly bigint[]> = {
  encode(items, writer = new BinaryWriter()) {
    for (const item of items) writer.fork().int64(item).join();
    return writer;
  },
};

test('a message is encoded as by a writer of its own, also after one that cannot be encoded', () => {
  expect(encodeMessage(numbers, [1n])).toEqual(new Uint8Array([1, 1]));
  expect(() => encodeMessage(numbers, [1n, 1n << 64n])).toThrow();
  expect(encodeMessage(numbers, [2n])).toEqual(new Uint8Array([1, 2]));
});
