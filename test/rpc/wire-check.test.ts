/** A request is accepted only if its message holds everything that its bytes say. */
import { readFileSync } from 'node:fs';
import { createFileRegistry, type DescMessage, fromBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, test } from 'vitest';
import { findWireFault } from '../../src/rpc/call/wire-check.ts';
import { compileWireSchema } from '../../src/rpc/call/wire-schema.ts';

const image = readFileSync(new URL('../../src/gen/descriptor.binpb', import.meta.url));
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
const messageOf = (name: string): DescMessage =>
  registry.getMessage(`billing.v1.${name}`) ?? expect.fail(`there is no ${name}`);

/** The field numbers of a message by their names. */
const numbersOf = (name: string): Readonly<Record<string, number>> =>
  Object.fromEntries(messageOf(name).fields.map((field) => [field.name, field.number]));

const CHARGE = numbersOf('ChargeRequest');
const GRANT = numbersOf('GrantCreditsRequest');
const { quantities = 0, operation = 0 } = numbersOf('Usage');

type Write = (writer: BinaryWriter) => BinaryWriter;

const bytesOf = (...writes: Write[]): Uint8Array =>
  writes.reduce((writer, write) => write(writer), new BinaryWriter()).finish();
const text =
  (field: number | undefined, value: string): Write =>
  (writer) =>
    writer.tag(field ?? 0, WireType.LengthDelimited).string(value);
const bytes =
  (field: number | undefined, value: Uint8Array): Write =>
  (writer) =>
    writer.tag(field ?? 0, WireType.LengthDelimited).bytes(value);
const number =
  (field: number | undefined, value: bigint): Write =>
  (writer) =>
    writer.tag(field ?? 0, WireType.Varint).int64(value);
const raw =
  (...value: number[]): Write =>
  (writer) =>
    writer.raw(new Uint8Array(value));
const label = (key: string, value: string): Write =>
  bytes(CHARGE['labels'], bytesOf(text(1, key), text(2, value)));

const faultOf = (name: string, ...writes: Write[]) =>
  findWireFault(compileWireSchema(messageOf(name)), bytesOf(...writes));

const INVALID_UTF8: readonly [name: string, bytes: readonly number[]][] = [
  ['a byte that begins nothing', [0xff]],
  ['a character that is cut off', [0x61, 0xe2, 0x82]],
  ['an overlong slash', [0xc0, 0xaf]],
  ['a high surrogate', [0xed, 0xa0, 0x80]],
  ['a pair of surrogates', [0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80]],
  ['a code point above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
];

describe('text that is not UTF-8 is refused', () => {
  test.each(INVALID_UTF8)('%s', (_, invalid) => {
    const value = new Uint8Array(invalid);
    const description = 'is not valid UTF-8';
    expect(faultOf('ChargeRequest', bytes(CHARGE['reference'], value))).toEqual({
      field: 'reference',
      description,
    });
    const good = label('a', 'b');
    const bad = bytes(CHARGE['labels'], bytesOf(text(1, 'c'), bytes(2, value)));
    expect(faultOf('ChargeRequest', good, bad)).toEqual({ field: 'labels[1].value', description });
    const key = bytes(CHARGE['labels'], bytesOf(bytes(1, value)));
    expect(faultOf('ChargeRequest', key)).toEqual({ field: 'labels[0].key', description });
  });

  test('and any other text is accepted', () => {
    for (const value of ['', 'ß 日本 🧾', '\u{10ffff}', '\ufffd', '\ufeff', '\0'])
      expect(faultOf('ChargeRequest', text(CHARGE['reference'], value))).toBeNull();
  });
});

describe('a field is refused', () => {
  const usages = (...all: Uint8Array[]) =>
    bytes(numbersOf('EstimateRequest')['usages'], bytesOf(...all.map((usage) => bytes(1, usage))));

  test.each<[name: string, field: string, description: string, writes: Write[]]>([
    ['that is not known', '9999', 'is no known field', [number(9_999, 1n)]],
    ['with the number 0', '0', 'is no known field', [raw(0, 0)]],
    [
      'that is a group',
      'reference',
      'has another type',
      [raw(((CHARGE['reference'] ?? 0) << 3) | 3)],
    ],
    ['of another type', 'reference', 'has another type', [number(CHARGE['reference'], 1n)]],
    ['of another type', 'credits', 'has another type', [text(CHARGE['credits'], '\x01')]],
    [
      'that is given twice',
      'credits',
      'is given twice',
      [number(CHARGE['credits'], 1n), number(CHARGE['credits'], 2n)],
    ],
    [
      'that is a map with a key twice',
      'labels[1]',
      'is given twice',
      [label('a', 'b'), label('a', 'c')],
    ],
    [
      'that is a map with an empty key twice',
      'labels[1]',
      'is given twice',
      [bytes(CHARGE['labels'], bytesOf()), label('', 'b')],
    ],
    [
      'whose number is out of range',
      'criticality',
      'is out of the range of its type',
      [number(CHARGE['criticality'], 2n ** 31n)],
    ],
    [
      'whose number is out of range',
      'criticality',
      'is out of the range of its type',
      [number(CHARGE['criticality'], -(2n ** 31n) - 1n)],
    ],
    [
      'that is longer than the message',
      'reference',
      'is cut off',
      [raw(((CHARGE['reference'] ?? 0) << 3) | 2, 5, 0x61)],
    ],
    [
      'that is cut off within a number',
      'credits',
      'is cut off',
      [raw(((CHARGE['credits'] ?? 0) << 3) | 0, 0x80)],
    ],
    [
      'whose number has more than 64 bits',
      'credits',
      'is cut off',
      [raw(((CHARGE['credits'] ?? 0) << 3) | 0, ...Array(9).fill(0xff), 0x02)],
    ],
  ])('%s: %s', (_, field, description, writes) => {
    expect(faultOf('ChargeRequest', ...writes)).toEqual({ field, description });
  });

  test('within another message, with its path', () => {
    expect(faultOf('ListReservationsRequest', bytes(2, new Uint8Array([1, 2, 0x80])))).toEqual({
      field: 'states[0]',
      description: 'is cut off',
    });
    const usage = bytesOf(text(operation, 'a'), number(99, 1n));
    const first = bytesOf(text(operation, 'a'));
    expect(faultOf('EstimateRequest', usages(first, usage))).toEqual({
      field: 'usages.items[1].99',
      description: 'is no known field',
    });
  });

  test('that is longer than the message that holds it, though not than the whole', () => {
    const nested = new Uint8Array([(operation << 3) | 2, 9, 0x61, 0x61]);
    expect(faultOf('EstimateRequest', usages(nested), text(1, 'account-1'))).toEqual({
      field: 'usages.items[0].operation',
      description: 'is cut off',
    });
  });

  test('that is a member of the same oneof as another', () => {
    const PURCHASE = numbersOf('PurchaseRequest');
    const payment = [
      text(PURCHASE['payment_reference'], 'a'),
      bytes(PURCHASE['checkout'], bytesOf()),
    ];
    expect(faultOf('PurchaseRequest', ...payment)).toEqual({
      field: 'checkout',
      description: 'is given twice',
    });
  });
});

describe('an instant', () => {
  const at = (field: number | undefined, nanos: bigint) =>
    bytes(field, bytesOf(number(1, 1n), number(2, nanos)));

  test.each([1_000_000_000n, -1n])('with %s nanoseconds is refused', (nanos) => {
    expect(
      faultOf('StreamHistoryRequest', at(numbersOf('StreamHistoryRequest')['from'], nanos)),
    ).toEqual({
      field: 'from.nanos',
      description: 'is out of the range of its type',
    });
  });

  test('that is stored is refused if it is finer than a millisecond', () => {
    const field = GRANT['expires_at'];
    expect(faultOf('GrantCreditsRequest', at(field, 1_000_001n))).toMatchObject({
      field: 'expires_at.nanos',
    });
    expect(faultOf('GrantCreditsRequest', at(field, 999_000_000n))).toBeNull();
  });

  test('that is only compared can be finer', () => {
    const from = numbersOf('StreamHistoryRequest')['from'];
    expect(faultOf('StreamHistoryRequest', at(from, 999_999_999n))).toBeNull();
  });
});

test('a map with many keys is refused if it has one twice', () => {
  const many = Array.from({ length: 300 }, (_, index) => label(`key-${index}`, ''));
  expect(faultOf('ChargeRequest', ...many)).toBeNull();
  for (const again of [0, 20, 30, 299])
    expect(faultOf('ChargeRequest', ...many, label(`key-${again}`, ''))).toEqual({
      field: 'labels[300]',
      description: 'is given twice',
    });
});

test('maps may have any keys, the same in two maps', () => {
  expect(
    faultOf('ChargeRequest', label('a', ''), label('b', ''), label('__proto__', '')),
  ).toBeNull();
  const { attributes = 0 } = numbersOf('Usage');
  const entry = (key: string) => bytesOf(text(1, key));
  const usage = bytesOf(bytes(quantities, entry('a')), bytes(attributes, entry('a')));
  const usages = numbersOf('EstimateRequest')['usages'];
  expect(faultOf('EstimateRequest', bytes(usages, bytesOf(bytes(1, usage))))).toBeNull();
});
