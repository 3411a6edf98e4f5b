/**
 * The response as it is stored on an entry: without the texts and instants that the entry has already. They
 * are about a third of a response, of which the ledger has one for every call.
 *
 * The form is a list of pieces. Each begins with a varint n. If n is even, n / 2 bytes follow, which belong
 * to the response as they are. If it is odd, (n − 1) / 2 is the index of one of the entry's texts.
 */
import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { Entry } from '../ledger/entry.ts';

/** The fields of an entry that its response repeats. */
export type ResponseContext = Pick<
  Entry,
  'accountId' | 'reservationId' | 'reference' | 'planId' | 'usages' | 'at' | 'expiresAt'
>;

/** A shorter text is not worth a reference. */
const LENGTH_MIN = 4;

export function packResponse(response: Uint8Array, context: ResponseContext): Uint8Array {
  const bytes = byteString(response);
  const texts = textsOf(context);
  // The next occurrence of each text.
  const nextAt = texts.map((text) => (text.length < LENGTH_MIN ? -1 : bytes.indexOf(text)));
  let packed = '';
  let packedTo = 0;
  for (let index = firstOf(nextAt); index !== -1; index = firstOf(nextAt)) {
    const at = nextAt[index]!;
    const text = texts[index]!;
    if (at >= packedTo) {
      packed += literal(bytes, packedTo, at) + varint(index * 2 + 1);
      packedTo = at + text.length;
    }
    nextAt[index] = bytes.indexOf(text, Math.max(packedTo, at + text.length));
  }
  return Buffer.from(packed + literal(bytes, packedTo, bytes.length), 'latin1');
}

/** The index of the least number that is not -1; of equal ones the first. -1: there is none. */
function firstOf(numbers: readonly number[]): number {
  let first = -1;
  for (let index = 0; index < numbers.length; index++) {
    const number = numbers[index]!;
    if (number !== -1 && (first === -1 || number < numbers[first]!)) first = index;
  }
  return first;
}

const literal = (bytes: string, from: number, to: number): string =>
  from === to ? '' : varint((to - from) * 2) + bytes.slice(from, to);

export function unpackResponse(packed: Uint8Array, context: ResponseContext): Uint8Array {
  const texts = textsOf(context);
  const reader = new BinaryReader(packed);
  const pieces: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const piece = reader.uint32();
    if (piece % 2 === 1) pieces.push(Buffer.from(texts[(piece - 1) / 2]!, 'latin1'));
    else {
      pieces.push(packed.subarray(reader.pos, reader.pos + piece / 2));
      reader.pos += piece / 2;
    }
  }
  return Buffer.concat(pieces);
}

/** As strings of bytes. The order is part of the stored form: a new text is added at the end. */
function textsOf(context: ResponseContext): readonly string[] {
  const { accountId, reservationId, reference, planId, at, expiresAt, usages } = context;
  return [
    utf8(accountId),
    utf8(reservationId ?? ''),
    utf8(reference),
    utf8(planId),
    instantBytes(at),
    expiresAt === null ? '' : instantBytes(expiresAt),
    // Each once: a thousand usages may be of one operation.
    ...new Set(usages.map(({ usage }) => utf8(usage.operation))),
  ];
}

/**
 * A string with one character for each byte. V8 searches and joins such strings faster than bytes, and a
 * Buffer made of one comes from Node's pool.
 */
const byteString = ({ buffer, byteOffset, length }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, length).toString('latin1');

const isAscii = /^[ -~]*$/;
const utf8 = (text: string): string => (isAscii.test(text) ? text : byteString(Buffer.from(text)));

function varint(value: number): string {
  let text = '';
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80))
    text += String.fromCharCode((rest % 0x80) + 0x80);
  return text + String.fromCharCode(rest);
}

/** The content of a google.protobuf.Timestamp. */
function instantBytes(millis: number): string {
  const seconds = Math.floor(millis / 1_000);
  const nanos = (millis % 1_000) * 1_000_000;
  return `\x08${varint(seconds)}${nanos === 0 ? '' : `\x10${varint(nanos)}`}`;
}
