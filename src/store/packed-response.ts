/**
 * The response as it is stored on an entry: without the texts and instants that the entry has already. They
 * are about a third of a response, of which the ledger has one for every call.
 *
 * The form is a list of pieces. Each begins with a varint n. If n is even, n / 2 bytes follow, which belong
 * to the response as they are. If it is odd, (n − 1) / 2 is the index of one of the entry's texts.
 */
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import type { Entry } from '../ledger/entry.ts';

/** The fields of an entry that its response repeats. */
export type ResponseContext = Pick<
  Entry,
  'accountId' | 'reservationId' | 'reference' | 'planId' | 'usages' | 'at' | 'expiresAt'
>;

/** A shorter text is not worth a reference. */
const LENGTH_MIN = 4;

export function packResponse(response: Uint8Array, context: ResponseContext): Uint8Array {
  const bytes = Buffer.from(response.buffer, response.byteOffset, response.length);
  const writer = new BinaryWriter();
  let written = 0;
  const writeLiteral = (end: number) => {
    if (end > written) writer.uint32((end - written) * 2).raw(bytes.subarray(written, end));
  };
  for (const { at, length, index } of findTexts(bytes, textsOf(context))) {
    if (at < written) continue;
    writeLiteral(at);
    writer.uint32(index * 2 + 1);
    written = at + length;
  }
  writeLiteral(bytes.length);
  return writer.finish();
}

export function unpackResponse(packed: Uint8Array, context: ResponseContext): Uint8Array {
  const texts = textsOf(context);
  const reader = new BinaryReader(packed);
  const pieces: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const piece = reader.uint32();
    if (piece % 2 === 1) pieces.push(texts[(piece - 1) / 2]!);
    else {
      pieces.push(packed.subarray(reader.pos, reader.pos + piece / 2));
      reader.pos += piece / 2;
    }
  }
  return Buffer.concat(pieces);
}

type Occurrence = { readonly at: number; readonly length: number; readonly index: number };

/** Where the texts occur, in order. They may overlap. */
function findTexts(bytes: Buffer, texts: readonly Uint8Array[]): readonly Occurrence[] {
  const found: Occurrence[] = [];
  for (const [index, text] of texts.entries()) {
    const { length } = text;
    if (length < LENGTH_MIN) continue;
    for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + length))
      found.push({ at, length, index });
  }
  return found.sort((a, b) => a.at - b.at);
}

/** The order is part of the stored form: a new text is added at the end. */
function textsOf(context: ResponseContext): readonly Uint8Array[] {
  const { accountId, reservationId, reference, planId, at, expiresAt, usages } = context;
  return [
    Buffer.from(accountId),
    Buffer.from(reservationId ?? ''),
    Buffer.from(reference),
    Buffer.from(planId),
    instantBytes(at),
    expiresAt === null ? NOTHING : instantBytes(expiresAt),
    ...usages.map(({ usage }) => Buffer.from(usage.operation)),
  ];
}

const NOTHING = new Uint8Array();

/** The content of a google.protobuf.Timestamp. */
function instantBytes(millis: number): Uint8Array {
  const writer = new BinaryWriter();
  writer.uint32(8).int64(Math.floor(millis / 1_000));
  const nanos = (millis % 1_000) * 1_000_000;
  if (nanos !== 0) writer.uint32(16).int32(nanos);
  return writer.finish();
}
