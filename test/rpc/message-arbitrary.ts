/** Requests for fuzz tests: bytes that follow the descriptor of a message, and such bytes with damage. */

import { readFileSync } from 'node:fs';
import {
  createFileRegistry,
  type DescField,
  type DescMessage,
  type DescMethod,
  fromBinary,
  ScalarType,
} from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';

const image = readFileSync(new URL('../../src/gen/descriptor.binpb', import.meta.url));
export const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));

/** All methods of the services of billing.v1. */
export const methods: readonly DescMethod[] = [...registry].flatMap((type) =>
  type.kind === 'service' && type.typeName.startsWith('billing.v1.') ? type.methods : [],
);

type Write = (writer: BinaryWriter) => BinaryWriter;

/** Values that matter: ids that exist, names with a meaning in JavaScript, and extremes. */
const TEXTS = [
  '',
  'fuzzed',
  'verts',
  'starter',
  'image.upscale',
  'scale_factor',
  '2026-11',
  '0000-00',
  '9999-99',
  '01900000-0000-7000-8000-000000000000',
  '__proto__',
  'constructor',
  '\0',
  '\ufeff\u200b',
  '🧾'.repeat(300),
  'a'.repeat(129),
];
/** Of instants: the last that there is, and some that there are not. */
const SECONDS = [253_402_300_799n, 253_402_300_800n, 2n ** 63n - 1n, -(2n ** 63n)];
const INT64 = [0n, 1n, -1n, 2n ** 31n, 2n ** 63n - 1n, -(2n ** 63n)];

const text = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...TEXTS) },
  fc.string({ unit: 'binary', maxLength: 20 }).filter((some) => some.isWellFormed()),
);
/** What a token could hold: the right list of the account, and any key. */
const base64 = (bytes: Uint8Array | string) => Buffer.from(bytes as string).toString('base64url');
export const token = fc.oneof(
  fc
    .tuple(
      fc.constantFrom(
        ['grants', 'fuzzed'],
        ['reservations', 'fuzzed'],
        ['purchases', 'fuzzed'],
        ['statements', 'fuzzed'],
        ['deliveries', 'fuzzed', ''],
        ['accounts', ''],
      ),
      fc.oneof(text, fc.nat().map(String), fc.uuid(), fc.constantFrom('9'.repeat(18), '2026-99')),
    )
    .map(([list, key]) => base64(JSON.stringify([...list, key]))),
  fc.json().map(base64),
  fc
    .uint8Array({ minLength: 8, maxLength: 8 })
    .map((position) => base64(new Uint8Array([1, ...position]))),
  fc.uint8Array({ maxLength: 20 }).map(base64),
  text,
);
const int64 = fc.oneof(fc.constantFrom(...INT64), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n));
const int32 = fc.oneof(fc.integer({ min: -1, max: 12 }), fc.constantFrom(-(2 ** 31), 2 ** 31 - 1));

/** The bytes of a message whose fields have any values of their types. */
export function messageBytes(message: DescMessage): fc.Arbitrary<Uint8Array> {
  const once = new Map<unknown, DescField[]>();
  for (const field of message.fields) {
    const key = field.oneof ?? field;
    once.set(key, [...(once.get(key) ?? []), field]);
  }
  const parts = [...once.values()].map((fields) =>
    fc.option(fc.oneof(...fields.map(fieldWrite)), { nil: null, freq: 4 }),
  );
  return fc.tuple(...parts).map((writes) => bytesOf(writes.flatMap((write) => write ?? [])));
}

const bytesOf = (writes: readonly Write[]): Uint8Array =>
  writes.reduce((writer, write) => write(writer), new BinaryWriter()).finish();

function fieldWrite(field: DescField): fc.Arbitrary<Write> {
  if (field.fieldKind === 'list')
    return fc.array(valueWrite(field, field.number), { maxLength: 3 }).map(all);
  if (field.fieldKind !== 'map') return valueWrite(field, field.number);
  const entry = fc.tuple(text, valueWrite(field, 2));
  return fc
    .uniqueArray(entry, { maxLength: 3, selector: ([key]) => key })
    .map((entries) =>
      all(
        entries.map(([key, value]) =>
          delimited(field.number, bytesOf([(w) => w.tag(1, 2).string(key), value])),
        ),
      ),
    );
}

const all =
  (writes: readonly Write[]): Write =>
  (writer) =>
    writes.reduce((before, write) => write(before), writer);

const delimited =
  (number: number, bytes: Uint8Array): Write =>
  (writer) =>
    writer.tag(number, WireType.LengthDelimited).bytes(bytes);

function valueWrite(field: DescField, number: number): fc.Arbitrary<Write> {
  const { message, scalar, name } = field;
  if (message?.typeName === 'google.protobuf.Timestamp')
    return instant.map((bytes) => delimited(number, bytes));
  if (message) return messageBytes(message).map((bytes) => delimited(number, bytes));
  switch (scalar) {
    case ScalarType.STRING:
      return (name.endsWith('_token') ? token : text).map(
        (value) => (writer) => writer.tag(number, WireType.LengthDelimited).string(value),
      );
    case ScalarType.BOOL:
      // A stream that follows has no end.
      return fc
        .boolean()
        .map((value) => (writer) => writer.tag(number, 0).bool(value && name !== 'follow'));
    case ScalarType.INT64:
      return int64.map((value) => (writer) => writer.tag(number, WireType.Varint).int64(value));
    case ScalarType.INT32:
    case undefined:
      return int32.map((value) => (writer) => writer.tag(number, WireType.Varint).int32(value));
    default:
      throw new Error(`${name} has a type that no request has had before`);
  }
}

/** A google.protobuf.Timestamp: usual, extreme or invalid. */
const instant = fc
  .tuple(
    fc.oneof(fc.bigInt(0n, 4_000_000_000n), fc.constantFrom(...SECONDS)),
    fc.constantFrom(0, 1_000_000, 999_000_000, 1, -1),
  )
  .map(([seconds, nanos]) => bytesOf([(w) => w.tag(1, 0).int64(seconds).tag(2, 0).int32(nanos)]));

/** Bytes with one fault: some are overwritten, cut off, repeated or added. */
export const damaged = (bytes: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc
    .tuple(bytes, fc.nat(), fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 4 }), fc.nat(3))
    .map(([before, one, other, some, kind]) => {
      const buffer = Buffer.from(before);
      const [from = 0, to = 0] = [one, other]
        .map((index) => index % (buffer.length + 1))
        .toSorted((a, b) => a - b);
      const [head, part, tail] = [
        buffer.subarray(0, from),
        buffer.subarray(from, to),
        buffer.subarray(to),
      ];
      const faults = [
        [head, some, buffer.subarray(from + some.length)],
        [head],
        [head, part, part, tail],
        [head, some, part, tail],
      ];
      return Buffer.concat(faults[kind] ?? []);
    });
