/** The limits of request fields, as the comments of the protos state them. */

import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mapOf } from '../../src/map-of.ts';
import { balanceOf, newestEntry, openWithCredits, storedRows } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
let accountId: string;
beforeAll(async () => {
  scrip = await startTestService();
  accountId = await openWithCredits(scrip, 1_000_000n);
});
afterAll(() => scrip.stop());

type Fields = Parameters<TestService['billing']['reserve']>[0];

/** Calls of several methods with these fields. */
const calls = {
  Reserve: (fields: Fields) => scrip.billing.reserve({ credits: 1n, ...fields }),
  Charge: ({ accountId: id, requestId: key, usages, credits = 1n, reference, labels }: Fields) =>
    scrip.billing.charge({
      ...(id !== undefined && { accountId: id }),
      ...(key !== undefined && { requestId: key }),
      ...(usages !== undefined && { usages }),
      ...(reference !== undefined && { reference }),
      ...(labels !== undefined && { labels }),
      credits,
    }),
};
const expectRefused = async (field: string, fields: Fields) => {
  for (const call of Object.values(calls))
    expect(await errorOf(call({ accountId, requestId: requestId(), ...fields }))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      fields: [field],
    });
};
const expectAccepted = async (fields: Fields) => {
  for (const call of Object.values(calls)) {
    const asked = { accountId, requestId: requestId(), ...fields };
    expect((await call(asked)).entrySeq).toBeGreaterThan(0n);
  }
};
const labels = (count: number) =>
  new Map(Array.from({ length: count }, (_, index) => [`key-${index}`, 'value']));

describe('account_id', () => {
  test.each([
    ['one character', 'a'],
    ['64 characters', 'a'.repeat(64)],
    ['all allowed characters', 'AZaz09._:-'],
  ])('can be %s', async (_, id) => {
    const opened = `${id}`;
    await scrip.accounts.openAccount({
      accountId: opened,
      requestId: requestId(),
      planId: 'verts',
    });
    expect((await balanceOf(scrip, opened)).seq).toBe(1n);
  });

  test.each([
    ['empty', ''],
    ['129 characters', 'a'.repeat(129)],
    ['with a space', 'a b'],
    ['with a line break at its end', 'a\n'],
    ['with a NUL', 'a\u0000'],
    ['with non-ASCII letters', 'müller'],
  ])('cannot be %s', (_, id) => expectRefused('account_id', { accountId: id }));
});

describe('request_id', () => {
  test.each([
    ['one character', 'r'],
    ['128 characters', 'r'.repeat(128)],
    ['any printable ASCII', ` !"#$%&'()*+,-./:;<=>?@[\\]^_\`{|}~`],
  ])('can be %s', async (_, id) => {
    const own = await openWithCredits(scrip, 10n);
    await scrip.billing.reserve({ accountId: own, requestId: id, credits: 1n });
    expect((await newestEntry(scrip, own)).requestId).toBe(id);
  });

  test.each([
    ['empty', ''],
    ['129 characters', 'r'.repeat(129)],
    ['with a line break', 'a\n'],
    ['with a NUL', 'a\u0000b'],
    ['with a DEL', 'a\u007f'],
    ['with non-ASCII letters', 'ü'],
  ])('cannot be %s', (_, id) => expectRefused('request_id', { requestId: id }));
});

describe('reference', () => {
  test.each([
    ['256 characters', 'x'.repeat(256)],
    ['256 non-ASCII characters', 'ü'.repeat(256)],
    ['256 characters beyond the basic plane', '🧾'.repeat(256)],
    ['any text', '日本語 / job №7 — "quoted" \\ \u00a0'],
  ])('can be %s', async (_, reference) => {
    await expectAccepted({ reference });
    expect((await newestEntry(scrip, accountId)).reference).toBe(reference);
  });

  test.each([
    ['257 characters', 'x'.repeat(257)],
    ['with a NUL', 'a\u0000b'],
    ['with a tab', 'a\tb'],
    ['with a line break', 'a\n'],
    ['with a DEL', '\u007f'],
  ])('cannot be %s', (_, reference) => expectRefused('reference', { reference }));
});

describe('labels', () => {
  test.each([
    ['16', labels(16)],
    ['of 64 and 256 characters', mapOf({ ['k'.repeat(64)]: 'v'.repeat(256) })],
    ['with an empty value', mapOf({ key: '' })],
    ['of any text', mapOf({ 'schlüssel 🔑': 'wert "7"' })],
    [
      'with keys that are names of Object.prototype',
      new Map([
        ['__proto__', 'a'],
        ['constructor', 'b'],
        ['toString', 'c'],
        ['7', 'd'],
      ]),
    ],
  ])('can be %s', async (_, some) => {
    await expectAccepted({ labels: some });
    expect((await newestEntry(scrip, accountId)).labels).toEqual(some);
  });

  test.each([
    ['17', labels(17), 'labels'],
    ['with an empty key', mapOf({ '': 'x' }), 'labels key'],
    ['with a key of 65 characters', mapOf({ ['k'.repeat(65)]: 'v' }), 'labels key'],
    ['with a value of 257 characters', mapOf({ key: 'v'.repeat(257) }), 'labels["key"]'],
    ['with a NUL in a key', mapOf({ 'a\u0000': 'v' }), 'labels key'],
    ['with a NUL in a value', mapOf({ key: 'a\u0000b' }), 'labels["key"]'],
    ['with a line break in a value', mapOf({ key: 'a\nb' }), 'labels["key"]'],
  ])('cannot be %s', (_, some, field) => expectRefused(field, { labels: some }));
});

describe('credits', () => {
  test.each([-1n, -9_223_372_036_854_775_808n])('cannot be %s', (credits) =>
    expectRefused('credits', { credits }),
  );

  test('or usages must be given, but not both', async () => {
    const usages = { items: [{ operation: 'file.inspect' }] };
    await expectRefused('usages', { credits: 1n, usages });
    const neither = { accountId, requestId: requestId() };
    for (const call of [scrip.billing.reserve(neither), scrip.billing.charge(neither)])
      expect((await errorOf(call)).fields).toEqual(['usages']);
    const commit = { ...neither, reservationId: requestId(), credits: 1n, usages };
    expect((await errorOf(scrip.billing.commit(commit))).fields).toEqual(['usages']);
  });
});

describe('rate_card_version', () => {
  test.each([-1n, 2_147_483_648n, 9_223_372_036_854_775_807n])(
    'cannot be %s',
    async (rateCardVersion) => {
      const request = { accountId, requestId: requestId(), credits: 1n, rateCardVersion };
      for (const call of [scrip.billing.reserve(request), scrip.billing.charge(request)])
        expect(await errorOf(call)).toMatchObject({
          fields: ['rate_card_version'],
          message: expect.stringContaining('must be 1 to 2147483647') as string,
        });
    },
  );
});

describe('The id of a plan or pack', () => {
  test.each(['', 'a b', 'x'.repeat(65), 'a\u0000'])('cannot be %j', async (id) => {
    const account = { accountId: requestId(), requestId: requestId() };
    expect((await errorOf(scrip.accounts.openAccount({ ...account, planId: id }))).fields).toEqual([
      'plan_id',
    ]);
    const payment = { $case: 'paymentReference' as const, value: 'x' };
    expect(
      (await errorOf(scrip.billing.purchase({ ...account, packId: id, payment }))).fields,
    ).toEqual(['pack_id']);
  });
});

describe('display_name', () => {
  test('has at most 256 characters and no control characters', async () => {
    const named = (displayName: string) =>
      scrip.accounts.updateAccount({ accountId, requestId: requestId(), displayName });
    expect((await named('x'.repeat(256))).account?.displayName).toBe('x'.repeat(256));
    for (const bad of ['x'.repeat(257), 'a\u0000', 'a\nb'])
      expect((await errorOf(named(bad))).fields).toEqual(['display_name']);
  });
});

describe('Unknown enum values', () => {
  test.each([99, -1, 2_147_483_647])(
    '%s is refused with the path of the field',
    async (unknown) => {
      const account = { accountId, requestId: requestId() };
      // A caller with a newer proto can send them; the generated types allow only known values.
      const policy = { overCommitPolicy: unknown as 1 };
      const category = { category: unknown as 1 };
      const states = [unknown as 1];
      const kinds = [unknown as 1];
      const faults = [
        await errorOf(scrip.billing.reserve({ ...account, credits: 1n, ...policy })),
        await errorOf(
          scrip.accounts.grantCredits({ reason: 'a test', ...account, credits: 1n, ...category }),
        ),
        await errorOf(scrip.billing.listReservations({ accountId, states })),
        await errorOf(scrip.billing.streamHistory({ accountId, kinds }).next()),
        await errorOf(scrip.billing.listEntries({ accountId, kinds })),
      ];
      expect(faults.map(({ fields }) => fields)).toEqual([
        ['over_commit_policy'],
        ['category'],
        ['states'],
        ['kinds'],
        ['kinds'],
      ]);
    },
  );
});

test('all violations are reported at once, and nothing is written', async () => {
  const before = await storedRows(scrip, accountId);
  const error = await errorOf(
    scrip.billing.reserve({
      accountId: '',
      requestId: '',
      usages: { items: [{ operation: '' }, { operation: 'file.inspect', count: -1n }] },
      ttl: { seconds: 0n, nanos: 0 },
      overCommitPolicy: 99 as 1,
      rateCardVersion: -1n,
      reference: 'x'.repeat(257),
      labels: labels(15).set('', '\u0000'),
    }),
  );
  expect(error.reason).toBe('INVALID_FIELD');
  expect(error.fields.toSorted()).toEqual([
    'account_id',
    'labels key',
    'labels[""]',
    'over_commit_policy',
    'rate_card_version',
    'reference',
    'request_id',
    'ttl',
    'usages.items[0].operation',
    'usages.items[1].count',
  ]);
  for (const field of error.fields) expect(error.metadata['field']).toContain(field);
  expect(await storedRows(scrip, accountId)).toBe(before);
});
