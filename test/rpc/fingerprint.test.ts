/**
 * The fingerprint decides whether a request id comes with the same content. These tests walk the
 * descriptors of every mutation's request, so a map that is added anywhere in one is tested, too.
 */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  createFileRegistry,
  type DescField,
  type DescMessage,
  fromBinary,
  fromJson,
  ScalarType,
  toBinary,
} from '@bufbuild/protobuf';
import type { BinaryWriter } from '@bufbuild/protobuf/wire';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, test } from 'vitest';
import * as accountService from '../../src/gen/billing/v1/account_service.ts';
import * as billingService from '../../src/gen/billing/v1/billing_service.ts';
import { fingerprint } from '../../src/rpc/call/fingerprint.ts';

type Codec = {
  encode(message: unknown, writer?: BinaryWriter): BinaryWriter;
  decode(bytes: Uint8Array): unknown;
};

const image = readFileSync(new URL('../../src/gen/descriptor.binpb', import.meta.url));
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
const codecs: Readonly<Record<string, unknown>> = { ...billingService, ...accountService };

/** The requests of all mutations: what Batch can carry. */
const requests = registry.getMessage('billing.v1.Mutation')!.fields.map((field) => field.message!);

/** A place in a request and what is changed there: the order of a map, or a value. */
type Place = { readonly path: string; readonly kind: 'map' | 'value' };

/** Every map and every value in a message, with those of the messages in it. */
function placesOf(message: DescMessage, path: string = message.name): Place[] {
  return message.fields.flatMap((field): Place[] => {
    const here = `${path}.${field.localName}`;
    const inner = field.message && !isWellKnown(field.message) ? placesOf(field.message, here) : [];
    const value: Place[] = field.message && inner.length > 0 ? [] : [{ path: here, kind: 'value' }];
    const map: Place[] = field.fieldKind === 'map' ? [{ path: here, kind: 'map' }] : [];
    return [...map, ...value, ...inner];
  });
}

const isWellKnown = ({ typeName }: DescMessage) => typeName.startsWith('google.protobuf.');

/** A message with something in every field, in the shape of the generated code. */
function build(message: DescMessage, change: string, path = message.name): object {
  const built: Record<string, unknown> = {};
  for (const field of message.fields) {
    const here = `${path}.${field.localName}`;
    const value = fieldOf(field, change, here);
    if (!field.oneof) built[field.localName] = value;
    else if (!(field.oneof.localName in built) || change.startsWith(here))
      built[field.oneof.localName] = { $case: field.localName, value };
  }
  return built;
}

function fieldOf(field: DescField, change: string, here: string): unknown {
  const one = (key: string) =>
    field.message
      ? messageOf(field.message, change, here)
      : leafOf(field, `${key}${change === `${here}=value` ? ' changed' : ''}`);
  if (field.fieldKind === 'list') return [one('first'), one('second')];
  if (field.fieldKind !== 'map') return one('only');
  const keys = ['a', 'b', 'c', 'd'];
  if (change === `${here}=map`) keys.reverse();
  return Object.fromEntries(keys.map((key) => [key, one(`of ${key}`)]));
}

function messageOf(message: DescMessage, change: string, here: string): unknown {
  const moved = change === `${here}=value` ? 5 : 0;
  if (message.typeName === 'google.protobuf.Timestamp') return new Date(1_768_003_200_000 + moved);
  if (message.typeName === 'google.protobuf.Duration') return { seconds: 90n, nanos: 7 + moved };
  return build(message, change, here);
}

function leafOf({ scalar }: DescField, text: string): unknown {
  switch (scalar) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BOOL:
      return text.endsWith('changed');
    case ScalarType.INT64:
      return BigInt(text.length);
    default: // int32, and enums, whose values are small
      return text.endsWith('changed') ? 1 : 2;
  }
}

const codecOf = (message: DescMessage): Codec => codecs[message.name] as Codec;
const printOf = (message: DescMessage, value: unknown) =>
  Buffer.from(fingerprint(codecOf(message), value)).toString('hex');

const maps = requests.flatMap((message) =>
  placesOf(message)
    .filter(({ kind }) => kind === 'map')
    .map(({ path }) => ({ path, message })),
);
const values = requests.flatMap((message) =>
  placesOf(message)
    .filter(({ kind }) => kind === 'value')
    .map(({ path }) => ({ path, message })),
);

test('the walk finds maps where they are known to be', () => {
  expect(requests.map(({ name }) => name)).toContain('CloseAccountRequest');
  expect(maps.map(({ path }) => path)).toEqual(
    expect.arrayContaining([
      'ReserveRequest.labels',
      'ReserveRequest.usages.quantities',
      'CommitRequest.usages.attributes',
      'UpdateAccountRequest.labels.labels',
    ]),
  );
});

test.each(requests)('a $name built by the walk is one that the generated code reads', (message) => {
  const built = build(message, '');
  const codec = codecOf(message);
  expect(codec.decode(codec.encode(built).finish())).toEqual(built);
});

describe('the fingerprint', () => {
  test.each(maps)('is the same whatever the order of $path', ({ path, message }) => {
    const [one, other] = [build(message, ''), build(message, `${path}=map`)];
    const bytes = (value: object) => Buffer.from(codecOf(message).encode(value).finish());
    expect(bytes(other).equals(bytes(one)), 'the order is another one').toBe(false);
    expect(printOf(message, other)).toBe(printOf(message, one));
  });

  test.each(values)('is another one for another $path', ({ path, message }) => {
    const [one, other] = [build(message, ''), build(message, `${path}=value`)];
    expect(other).not.toEqual(one);
    expect(printOf(message, other)).not.toBe(printOf(message, one));
  });

  test('is another one for usages in another order: they are a list', () => {
    const message = registry.getMessage('billing.v1.ChargeRequest')!;
    const { usages, ...rest } = build(message, '') as billingService.ChargeRequest;
    const [first, second] = usages;
    const other = { ...first!, operation: 'other' };
    expect(printOf(message, { ...rest, usages: [other, second] })).not.toBe(
      printOf(message, { ...rest, usages: [second, other] }),
    );
  });

  test('leaves the message as it was', () => {
    const message = registry.getMessage('billing.v1.ReserveRequest')!;
    const turned = build(message, 'ReserveRequest.labels=map') as billingService.ReserveRequest;
    printOf(message, turned);
    expect(Object.keys(turned.labels)).toEqual(['d', 'c', 'b', 'a']);
  });

  test('is SHA-256 of the message as any protobuf encoder writes it, keys in order', () => {
    const message = registry.getMessage('billing.v1.ChargeRequest')!;
    const request = billingService.ChargeRequest.fromPartial({
      accountId: 'acme',
      requestId: 'request-1',
      usages: [{ operation: 'page.extract', quantities: { pages: 12n }, count: 2n }],
      labels: { tier: 'gold', team: 'blue' },
    });
    const json = {
      accountId: 'acme',
      requestId: 'request-1',
      usages: [{ operation: 'page.extract', quantities: { pages: '12' }, count: '2' }],
      labels: { team: 'blue', tier: 'gold' },
    };
    const bytes = toBinary(message, fromJson(message, json));
    expect(printOf(message, request)).toBe(createHash('sha256').update(bytes).digest('hex'));
  });
});
