/** A stored response lacks what its entry has, and is read back byte for byte. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ReserveResponse } from '../../src/gen/billing/v1/billing_service.ts';
import { mapOf } from '../../src/map-of.ts';
import type { PricedUsage } from '../../src/pricing/price.ts';
import {
  packResponse,
  type ResponseContext,
  unpackResponse,
} from '../../src/store/packed-response.ts';

const priced = (operation: string): PricedUsage => ({
  usage: { operation, count: 1n, quantities: mapOf({ pages: 3n }), attributes: new Map() },
  unitCredits: 3n,
  credits: 3n,
  billable: true,
  components: [],
});

const context: ResponseContext = {
  accountId: 'acct-17',
  reservationId: '0199a3b0-7c1d-7e2f-8a4b-5c6d7e8f9a0b',
  reference: 'invoice 2026-11',
  planId: 'aspose-cloud',
  usages: [priced('page.extract'), priced('page.ocr')],
  at: Date.parse('2026-11-21T12:00:00.123Z'),
  expiresAt: Date.parse('2026-11-21T12:15:00Z'),
};

const without = { reservationId: null, reference: '', usages: [], expiresAt: null } as const;

const unpacked = (bytes: Uint8Array, of: ResponseContext) =>
  Buffer.from(unpackResponse(packResponse(bytes, of), of)).toString('hex');

describe('a response', () => {
  test('that repeats its entry is much shorter', () => {
    const reservation = {
      accountId: context.accountId,
      reservationId: context.reservationId ?? '',
      reference: context.reference,
      planId: context.planId,
      createTime: new Date(context.at),
      expireTime: new Date(context.expiresAt ?? 0),
      credits: 6n,
    };
    const lines = context.usages.map(({ usage, credits }) => ({
      usage: { ...usage, quantities: mapOf({ pages: 3n }), attributes: new Map() },
      credits,
    }));
    const response = ReserveResponse.encode(
      ReserveResponse.fromPartial({ reservation, lines, entrySeq: 7n }),
    ).finish();
    const packed = packResponse(response, context);
    expect(packed.length).toBeLessThan(response.length / 2);
    expect(unpacked(response, context)).toBe(Buffer.from(response).toString('hex'));
  });

  test.each([
    ['nothing', ''],
    ['nothing but a text of the entry', 'acct-17'],
    ['a text twice in a row', 'acct-17acct-17'],
    ['the beginning of a text', 'acct-1'],
    ['a text between others', '\0\x01acct-17\xff\xfeaspose-cloud\x80'],
  ])('of %s is read back', (_, text) => {
    const bytes = Buffer.from(text, 'latin1');
    expect(unpacked(bytes, context)).toBe(bytes.toString('hex'));
    expect(unpacked(bytes, { ...context, ...without })).toBe(bytes.toString('hex'));
  });

  test('is read back where texts of the entry contain each other', () => {
    const nested = { ...context, accountId: 'aaaa', reference: 'aaaaaa', planId: 'xaaaay' };
    for (const text of ['aaaaaaaaaaaaaaa', 'xaaaayaaaaaa', 'xaaaaaaay'])
      expect(unpacked(Buffer.from(text), nested)).toBe(Buffer.from(text).toString('hex'));
  });

  test('is read back, whatever it and its entry say', () => {
    const text = fc.string({ maxLength: 9, unit: fc.constantFrom('a', 'b', 'ü', '🪙') });
    const instant = fc.oneof(fc.integer({ min: 0, max: 2 ** 42 }), fc.constant(context.at));
    const contexts = fc.record({
      accountId: text,
      reservationId: fc.option(text),
      reference: text,
      planId: text,
      usages: fc.array(text.map(priced), { maxLength: 3 }),
      at: instant,
      expiresAt: fc.option(instant),
    });
    const pieces = fc.array(fc.oneof(fc.uint8Array({ maxLength: 4 }), text), { maxLength: 8 });
    fc.assert(
      fc.property(contexts, pieces, fc.nat(9), (of, some, index) => {
        const own = [of.accountId, of.reservationId ?? '', of.reference, of.planId][index] ?? '';
        const bytes = Buffer.concat([...some, own, ...some].map((piece) => Buffer.from(piece)));
        expect(unpacked(bytes, of)).toBe(bytes.toString('hex'));
      }),
      { numRuns: 1_000 },
    );
  });
});
