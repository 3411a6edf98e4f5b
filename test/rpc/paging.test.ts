/** Page tokens are opaque, and valid only for the list and the arguments they were made for. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Account_State } from '../../src/gen/billing/v1/account_service.ts';
import { Entry_Kind, Reservation_State } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { grant, openWithCredits, reserveCredits } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
let accountId: string;
let otherId: string;
beforeAll(async () => {
  scrip = await startTestService();
  accountId = await openWithTwoOfEach();
  otherId = await openWithTwoOfEach();
});
afterAll(() => scrip.stop());

async function openWithTwoOfEach(): Promise<string> {
  const id = await openWithCredits(scrip, 10n);
  await scrip.accounts.updateAccount({
    accountId: id,
    requestId: requestId(),
    labels: { labels: mapOf({ team: 'media' }) },
  });
  for (let times = 0; times < 2; times++)
    await scrip.billing.charge({
      accountId: id,
      requestId: requestId(),
      credits: 1n,
      reference: 'job',
      labels: mapOf({ job: '1' }),
    });
  await grant(scrip, id, 10n);
  await reserveCredits(scrip, id, 1n);
  await reserveCredits(scrip, id, 1n);
  return id;
}

type Token = { readonly pageToken?: string };
const { ACTIVE, EXPIRED } = Reservation_State;
const { GRANT, RESERVE } = Entry_Kind;
const FAR = new Date('9000-01-01');
const lists = {
  'the accounts': (t: Token) => scrip.accounts.listAccounts({ pageSize: 1, ...t }),
  'the accounts of a plan': (t: Token) =>
    scrip.accounts.listAccounts({ pageSize: 1, planId: 'verts', ...t }),
  'the open accounts': (t: Token) =>
    scrip.accounts.listAccounts({ pageSize: 1, state: Account_State.OPEN, ...t }),
  'the accounts with a label': (t: Token) =>
    scrip.accounts.listAccounts({ pageSize: 1, labels: mapOf({ team: 'media' }), ...t }),
  'the accounts with a label of a name': (t: Token) =>
    scrip.accounts.listAccounts({ pageSize: 1, labelKeys: ['team'], ...t }),
  'the accounts with at most 20 credits': (t: Token) =>
    scrip.accounts.listAccounts({ pageSize: 1, availableAtMost: 20n, ...t }),
  'the entries': (t: Token) => scrip.billing.listEntries({ accountId, pageSize: 1, ...t }),
  'the entries of another account': (t: Token) =>
    scrip.billing.listEntries({ accountId: otherId, pageSize: 1, ...t }),
  'the entries of two kinds': (t: Token) =>
    scrip.billing.listEntries({ accountId, pageSize: 1, kinds: [GRANT, RESERVE], ...t }),
  'the entries of a reference': (t: Token) =>
    scrip.billing.listEntries({ accountId, pageSize: 1, reference: 'job', ...t }),
  'the entries with a label': (t: Token) =>
    scrip.billing.listEntries({ accountId, pageSize: 1, labels: mapOf({ job: '1' }), ...t }),
  'the entries with a label of a name': (t: Token) =>
    scrip.billing.listEntries({ accountId, pageSize: 1, labelKeys: ['job'], ...t }),
  'the entries since an instant': (t: Token) =>
    scrip.billing.listEntries({ accountId, pageSize: 1, from: new Date(1), ...t }),
  'the entries before an instant': (t: Token) =>
    scrip.billing.listEntries({ accountId, pageSize: 1, to: FAR, ...t }),
  'the entries before a seq': (t: Token) =>
    scrip.billing.listEntries({ accountId, pageSize: 1, beforeSeq: 4n, ...t }),
  'the grants': (t: Token) => scrip.accounts.listGrants({ accountId, pageSize: 1, ...t }),
  'the grants of another account': (t: Token) =>
    scrip.accounts.listGrants({ accountId: otherId, pageSize: 1, ...t }),
  'the reservations': (t: Token) =>
    scrip.billing.listReservations({ accountId, pageSize: 1, ...t }),
  'the reservations of another account': (t: Token) =>
    scrip.billing.listReservations({ accountId: otherId, pageSize: 1, ...t }),
  'the active reservations': (t: Token) =>
    scrip.billing.listReservations({ accountId, pageSize: 1, states: [ACTIVE], ...t }),
  'the active and expired reservations': (t: Token) =>
    scrip.billing.listReservations({ accountId, pageSize: 1, states: [ACTIVE, EXPIRED], ...t }),
};
type ListName = keyof typeof lists;
const names = Object.keys(lists) as ListName[];

const refused = { reason: 'INVALID_FIELD', fields: ['page_token'] };
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const decode = (token: string): unknown => JSON.parse(Buffer.from(token, 'base64url').toString());

describe.each(names)('A page token of %s', (name) => {
  test.each(names.filter((other) => other !== name))('is refused for %s', async (other) => {
    const { nextPageToken: pageToken } = await lists[name]({});
    expect(pageToken).not.toBe('');
    expect(await errorOf(lists[other]({ pageToken }))).toMatchObject(refused);
  });

  test('is valid for another page size', async () => {
    const { nextPageToken: pageToken } = await lists[name]({});
    await expect(lists[name]({ pageToken, ...{ pageSize: 3 } })).resolves.toBeDefined();
  });
});

describe.each(['the accounts', 'the entries', 'the grants', 'the reservations'] as const)(
  'An invalid page token for %s',
  (name) => {
    test.each([
      ['a word', 'garbage'],
      ['text that is not base64', '%%%'],
      ['JSON of another shape', encode({ a: 1 })],
      ['an empty list', encode([])],
      ['a number', encode(7)],
      ['a control character', '\u0000'],
    ])('is refused: %s', async (_, pageToken) => {
      expect(await errorOf(lists[name]({ pageToken }))).toMatchObject(refused);
    });

    test.each([
      ['no key', ''],
      ['a key of another form', 'x'],
      ['a key of control characters', '\u0000'],
      ['a key that is too large', '99999999999999999999999999'],
      ['a negative key', '-1'],
      ['a key that is a fraction', '1.5'],
    ])('a forged token with %s is refused or harmless, and never INTERNAL', async (_, key) => {
      const { nextPageToken } = await lists[name]({});
      const parts = decode(nextPageToken);
      if (!Array.isArray(parts)) throw new Error(`not a list: ${nextPageToken}`);
      const pageToken = encode([...parts.slice(0, -1), key]);
      // A key of the right form that no row has is harmless: the page begins after it.
      const outcome = await lists[name]({ pageToken }).then(
        ({ nextPageToken: next }) => (next === '' || next === nextPageToken ? 'a page' : next),
        () => errorOf(lists[name]({ pageToken })),
      );
      if (outcome !== 'a page') expect(outcome).toMatchObject(refused);
    });
  },
);
