/**
 * The fingerprint tells whether a request id comes with the same content. The tests use the descriptors
 * of all requests, so that a map which is added to a request is tested as well.
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
import * as budget from '../../src/gen/billing/v1/budget.ts';
import { mapOf } from '../../src/map-of.ts';
import { fingerprint } from '../../src/rpc/call/fingerprint.ts';

type Codec = {
  encode(message: unknown, writer?: BinaryWriter): BinaryWriter;
  decode(bytes: Uint8Array): unknown;
};

const image = readFileSync(new URL('../../src/gen/descriptor.binpb', import.meta.url));
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
const codecs: Readonly<Record<string, unknown>> = {
  ...billingService,
  ...accountService,
  ...budget,
};

/** The requests of all mutations that Batch accepts. */
const requests = registry
  .getMessage('billing.v1.Mutation')!
  .fields.flatMap(({ message }) => message ?? []);

/** A field of a request, where a test changes the order of a map or a value. */
type Field = { readonly path: string; readonly kind: 'map' | 'value' };

/** What does not change what is asked for: the name of an import's file, and whether it is written. */
const NO_CONTENT = ['ImportAccountRequest.file', 'ImportAccountRequest.validateOnly'];
const isNoContent = (path: string): boolean =>
  path.endsWith('.notAfter') || NO_CONTENT.includes(path);

/** Every map and every value of a message and of the messages in it. */
function fieldsOf(message: DescMessage, path: string = message.name): Field[] {
  return message.fields.flatMap((field): Field[] => {
    const here = `${path}.${field.localName}`;
    const inner = field.message && !isWellKnown(field.message) ? fieldsOf(field.message, here) : [];
    const value: Field[] = field.message && inner.length > 0 ? [] : [{ path: here, kind: 'value' }];
    const map: Field[] = field.fieldKind === 'map' ? [{ path: here, kind: 'map' }] : [];
    return [...map, ...value, ...inner];
  });
}

const isWellKnown = ({ typeName }: DescMessage) => typeName.startsWith('google.protobuf.');

/** A message with a value in every field, as the generated code has it. */
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
      : scalarOf(field, `${key}${change === `${here}=value` ? ' changed' : ''}`);
  if (field.fieldKind === 'list') return [one('first'), one('second')];
  if (field.fieldKind !== 'map') return one('only');
  const keys = ['a', 'b', 'c', 'd'];
  if (change === `${here}=map`) keys.reverse();
  return new Map(keys.map((key) => [key, one(`of ${key}`)]));
}

function messageOf(message: DescMessage, change: string, here: string): unknown {
  const moved = change === `${here}=value` ? 5 : 0;
  if (message.typeName === 'google.protobuf.Timestamp') return new Date(1_768_003_200_000 + moved);
  if (message.typeName === 'google.protobuf.Duration') return { seconds: 90n, nanos: 7 + moved };
  return build(message, change, here);
}

function scalarOf({ scalar }: DescField, text: string): unknown {
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
const fingerprintOf = (message: DescMessage, value: unknown) =>
  Buffer.from(fingerprint(codecOf(message), value)).toString('hex');

const maps = requests.flatMap((message) =>
  fieldsOf(message)
    .filter(({ kind }) => kind === 'map')
    .map(({ path }) => ({ path, message })),
);
const values = requests.flatMap((message) =>
  fieldsOf(message)
    .filter(({ kind, path }) => kind === 'value' && !isNoContent(path))
    .map(({ path }) => ({ path, message })),
);

test('maps are found in the requests that have them', () => {
  expect(requests.map(({ name }) => name)).toContain('CloseAccountRequest');
  expect(maps.map(({ path }) => path)).toEqual(
    expect.arrayContaining([
      'ReserveRequest.labels',
      'ReserveRequest.usages.items.quantities',
      'CommitRequest.usages.items.attributes',
      'UpdateAccountRequest.labels.labels',
    ]),
  );
});

test.each(requests)(
  'a $name built from its descriptor can be decoded by the generated code',
  (message) => {
    const built = build(message, '');
    const codec = codecOf(message);
    expect(codec.decode(codec.encode(built).finish())).toEqual(built);
  },
);

describe('the fingerprint', () => {
  test.each(maps)('does not depend on the order of $path', ({ path, message }) => {
    const [one, other] = [build(message, ''), build(message, `${path}=map`)];
    const bytes = (value: object) => Buffer.from(codecOf(message).encode(value).finish());
    expect(bytes(other).equals(bytes(one)), 'the order is another one').toBe(false);
    expect(fingerprintOf(message, other)).toBe(fingerprintOf(message, one));
  });

  test.each(values)('depends on $path', ({ path, message }) => {
    const [one, other] = [build(message, ''), build(message, `${path}=value`)];
    expect(other).not.toEqual(one);
    expect(fingerprintOf(message, other)).not.toBe(fingerprintOf(message, one));
  });

  test.each(requests)('does not depend on not_after of $name', (message) => {
    const built = build(message, '') as { notAfter?: Date };
    expect(built.notAfter).toBeDefined();
    expect(fingerprintOf(message, { ...built, notAfter: undefined })).toBe(
      fingerprintOf(message, built),
    );
  });

  test.each(NO_CONTENT)('does not depend on %s', (path) => {
    const message = registry.getMessage('billing.v1.ImportAccountRequest')!;
    const [one, other] = [build(message, ''), build(message, `${path}=value`)];
    expect(other).not.toEqual(one);
    expect(fingerprintOf(message, other)).toBe(fingerprintOf(message, one));
  });

  test('depends on the order of usages, which are a list', () => {
    const message = registry.getMessage('billing.v1.ChargeRequest')!;
    const { usages, ...rest } = build(message, '') as billingService.ChargeRequest;
    const [first, second] = usages?.items ?? [];
    const other = { ...first!, operation: 'other' };
    expect(fingerprintOf(message, { ...rest, usages: { items: [other, second] } })).not.toBe(
      fingerprintOf(message, { ...rest, usages: { items: [second, other] } }),
    );
  });

  test('does not change the message', () => {
    const message = registry.getMessage('billing.v1.ReserveRequest')!;
    const turned = build(message, 'ReserveRequest.labels=map') as billingService.ReserveRequest;
    fingerprintOf(message, turned);
    expect([...turned.labels.keys()]).toEqual(['d', 'c', 'b', 'a']);
  });

  test('is half of the SHA-256 of the encoded message with sorted keys', () => {
    const message = registry.getMessage('billing.v1.ChargeRequest')!;
    const request = billingService.ChargeRequest.fromPartial({
      accountId: 'acme',
      requestId: 'request-1',
      usages: {
        items: [{ operation: 'page.extract', quantities: mapOf({ pages: 12n }), count: 2n }],
      },
      labels: mapOf({ tier: 'gold', team: 'blue' }),
    });
    const json = {
      accountId: 'acme',
      requestId: 'request-1',
      usages: { items: [{ operation: 'page.extract', quantities: { pages: '12' }, count: '2' }] },
      labels: { team: 'blue', tier: 'gold' },
    };
    const bytes = toBinary(message, fromJson(message, json));
    const hash = createHash('sha256').update(bytes).digest('hex');
    expect(fingerprintOf(message, request)).toBe(hash.slice(0, 32));
  });
});
