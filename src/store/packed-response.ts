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
  let packed = '';
  let packedTo = 0;
  const addLiteral = (end: number) => {
    if (end > packedTo) packed += varint((end - packedTo) * 2) + bytes.slice(packedTo, end);
  };
  for (const { at, length, index } of findTexts(bytes, textsOf(context))) {
    if (at < packedTo) continue;
    addLiteral(at);
    packed += varint(index * 2 + 1);
    packedTo = at + length;
  }
  addLiteral(bytes.length);
  return Buffer.from(packed, 'latin1');
}

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

type Occurrence = { readonly at: number; readonly length: number; readonly index: number };

/** Where the texts occur, in order. They may overlap. */
function findTexts(bytes: string, texts: readonly string[]): readonly Occurrence[] {
  const found: Occurrence[] = [];
  for (const [index, text] of texts.entries()) {
    const { length } = text;
    if (length < LENGTH_MIN) continue;
    for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + length))
      found.push({ at, length, index });
  }
  return found.sort((a, b) => a.at - b.at);
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
    ...usages.map(({ usage }) => utf8(usage.operation)),
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
