/** Messages of the client package: plain objects with bigint, and with a JSON of their own. */
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import * as client from '../../clients/typescript/src/index.ts';

const { BatchRequest, ChargeRequest, ChargeResponse, Entry, ExtendReservationRequest } = client;

const sent = {
  credits: 9_007_199_254_740_993n,
  balance: { available: 18n },
  entrySeq: 3n,
  split: [{ source: { $case: 'grantId', value: 1n }, credits: 2n }],
} as const;
const decoded = () =>
  ChargeResponse.decode(ChargeResponse.encode(ChargeResponse.fromPartial(sent)).finish());

describe('a message that was decoded', () => {
  test('is JSON with integers of 64 bits as text, and with all that is nested', () => {
    const json = JSON.parse(JSON.stringify(decoded()));
    expect(json).toMatchObject({
      credits: '9007199254740993',
      balance: { available: '18', reserved: '0' },
      entrySeq: '3',
      split: [{ grantId: '1', credits: '2' }],
      lines: [],
    });
  });

  test('is JSON in other objects, and so is what it holds', () => {
    const { balance, split } = decoded();
    expect(JSON.stringify({ balance, split: [...split] })).toContain('"available":"18"');
  });

  test('equals a plain object, and spreads as one', () => {
    const { balance, ...rest } = decoded();
    expect({ ...decoded() }).toEqual({ ...rest, balance });
    expect({ ...decoded() }).toStrictEqual({ ...rest, balance });
    expect(Object.keys(decoded())).not.toContain('toJSON');
    expect(structuredClone(decoded())).toEqual(decoded());
    expect(inspect(decoded().split[0]?.source)).toBe("{ '$case': 'grantId', value: 1n }");
    expect(inspect(decoded().split[0])).toMatch(/^\{ source: /);
    for (const key in decoded()) expect(Object.keys(decoded())).toContain(key);
  });
});

test('instants are RFC 3339, enums are their names, and bytes are base64', () => {
  const at = new Date('2026-11-30T10:00:00.123Z');
  const entry = Entry.fromPartial({ kind: 'KIND_CHARGE', at, hash: Buffer.from([1, 2, 3]) });
  const again = Entry.decode(Entry.encode(entry).finish());
  expect(again).toMatchObject({ kind: 'KIND_CHARGE', at });
  expect(JSON.parse(JSON.stringify(again))).toMatchObject({
    kind: 'KIND_CHARGE',
    at: '2026-11-30T10:00:00.123Z',
    hash: 'AQID',
  });
});

test.each([
  [{ seconds: 90n, nanos: 0 }, '90s'],
  [{ seconds: 0n, nanos: 1_500_000 }, '0.0015s'],
  [{ seconds: -1n, nanos: -500_000_000 }, '-1.5s'],
])('a duration is the JSON of proto3: %o is %s', (ttl, json) => {
  const request = ExtendReservationRequest.fromPartial({ ttl });
  expect(JSON.parse(JSON.stringify(request))).toMatchObject({ ttl: json });
});

test('a value of an enum that this version does not know is UNRECOGNIZED', () => {
  // Field 9 of Entry is its kind.
  const known = Entry.encode(Entry.fromPartial({ kind: 'KIND_CHARGE' })).finish();
  const unknown = Buffer.from(known);
  unknown[unknown.length - 1] = 120;
  expect(Entry.decode(unknown).kind).toBe('UNRECOGNIZED');
});

test('a oneof is its case and its value', () => {
  const request = BatchRequest.fromPartial({
    mutations: [{ mutation: { $case: 'charge', value: { accountId: 'a', credits: 5 } } }],
  });
  expect(request.mutations[0]?.mutation).toMatchObject({ $case: 'charge', value: { credits: 5n } });
  expect(JSON.parse(JSON.stringify(request)).mutations[0]).toMatchObject({
    charge: { accountId: 'a', credits: '5' },
  });
});

test('a label may have any name', () => {
  const labels = JSON.parse('{"__proto__": "a", "constructor": "b", "team": "c"}');
  const request = ChargeRequest.decode(
    ChargeRequest.encode(ChargeRequest.fromPartial({ labels })).finish(),
  );
  expect(Object.entries(request.labels)).toEqual(Object.entries(labels));
  expect(JSON.parse(JSON.stringify(request)).labels).toEqual(labels);
});

const messages = Object.entries(client).flatMap(([name, value]) =>
  typeof value === 'object' && 'fromPartial' in value ? [[name, value] as const] : [],
);

test('every message has a JSON', () => {
  expect(messages.length).toBeGreaterThan(100);
  for (const [name, type] of messages) {
    const message = (type as { fromPartial(partial: object): object }).fromPartial({});
    expect('toJSON' in message, name).toBe(true);
    expect(() => JSON.stringify(message), name).not.toThrow();
  }
});
