/** What callers see of an entry whose personal data the owner of the database has erased. */
import { Metadata, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Purchase_Resolution_Decision as Decision,
  type Entry,
  Grant_Category,
  Reservation_State,
} from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { verify } from '../../src/verify/verify.ts';
import {
  balanceOf,
  defined,
  entriesOf,
  INSPECT,
  newestEntry,
  openWithCredits,
  storedRows,
} from '../accounts.ts';
import { insertMismatched } from '../payments/given.ts';
import { StripeFake } from '../payments/stripe-fake.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { checkout, closeAccount, mutatingRpcs, rejectPurchase } from './mutations.ts';
import { callRaw } from './raw-call.ts';

let stripe: StripeFake;
let scrip: TestService;
/** Another replica on the same database. */
let twin: TestService;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  scrip = await startTestService({ env: stripe.env });
  twin = await startTestService({ env: stripe.env, databaseUrl: scrip.databaseUrl });
  stripe.clock = scrip.now;
});
afterAll(async () => {
  await twin.stop();
  await scrip.stop();
  await stripe.stop();
});

async function erase(accountId: string, seq: bigint) {
  await execute(scrip.databaseUrl, 'select erase_entry($1, $2)', [accountId, seq]);
}

const PERSONAL = {
  reference: 'Anna Maier, 12 May',
  labels: mapOf({ customer: 'anna@example.com' }),
};

/** An entry as it is after its personal data was erased. */
const erased = (entry: Entry): Entry => ({ ...entry, reference: '', labels: new Map() });

describe.each([...mutatingRpcs, closeAccount, checkout, rejectPurchase])(
  'a request of $path whose entry was erased',
  ({ path, pair }) => {
    test('is refused when it is repeated, and its other content too; nothing is written', async () => {
      const id = requestId();
      const { accountId, request, other } = await pair(scrip, id);
      const before = (await entriesOf(scrip, accountId).catch(() => [])).at(-1)?.seq ?? 0n;
      await callRaw(scrip, path, request);
      const audited = await verify(scrip.databaseUrl, { accountId, all: true });
      await erase(accountId, before + 1n);
      const rows = await storedRows(scrip, accountId);
      // This replica has the account in its cache.
      for (const replica of [scrip, twin, scrip])
        for (const content of [request, other])
          expect(await errorOf(callRaw(replica, path, content))).toMatchObject({
            code: status.INVALID_ARGUMENT,
            reason: 'REQUEST_ID_REUSED',
            metadata: { request_id: id, method: path.slice(path.lastIndexOf('/') + 1) },
          });
      expect(await storedRows(scrip, accountId)).toBe(rows);
      expect(await verify(scrip.databaseUrl, { accountId, all: true })).toEqual(audited);
    });
  },
);

describe('an erased entry', () => {
  test('is in the history without reference and labels; all else, and its hash, are as before', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const usages = { items: [INSPECT] };
    const request = { accountId, requestId: requestId(), usages, ...PERSONAL };
    const { entrySeq } = await scrip.billing.charge(request);
    await scrip.billing.charge({ ...request, requestId: requestId() });
    const before = await entriesOf(scrip, accountId);
    expect(before.slice(2)).toMatchObject([PERSONAL, PERSONAL]);
    await erase(accountId, entrySeq);
    for (const replica of [scrip, twin])
      expect(await entriesOf(replica, accountId)).toEqual(
        before.map((entry) => (entry.seq === entrySeq ? erased(entry) : entry)),
      );
    const { reference } = PERSONAL;
    expect(await entriesOf(scrip, accountId, { reference })).toEqual(before.slice(3));
    const [row] = await execute(
      scrip.databaseUrl,
      'select erased, reference, labels, personal from history where account_id = $1 and seq = $2',
      [accountId, entrySeq],
    );
    expect(row).toEqual({ erased: true, reference: null, labels: null, personal: null });
    expect(await storedRows(scrip, accountId)).toContain('anna@example.com'); // Of the other charge.
    await erase(accountId, entrySeq + 1n);
    expect(await storedRows(scrip, accountId)).not.toMatch(/anna|Maier/i);
  });

  test('leaves the account usable, its other requests replayed, and the charge refundable', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const charge = (more = {}) => ({ accountId, requestId: requestId(), credits: 10n, ...more });
    const kept = charge();
    const first = await scrip.billing.charge(kept);
    const { entrySeq: seq } = await scrip.billing.charge(charge(PERSONAL));
    await erase(accountId, seq);
    await erase(accountId, seq);
    for (const { billing } of [scrip, twin]) {
      expect(await billing.charge(kept)).toMatchObject({ ...first, replay: {} });
      await billing.charge(charge());
    }
    await scrip.billing.refund({
      reason: 'a test',
      accountId,
      requestId: requestId(),
      seq,
      all: true,
    });
    expect(await newestEntry(scrip, accountId)).toMatchObject({ refundedSeq: seq, reference: '' });
    expect((await balanceOf(scrip, accountId)).remaining).toBe(70n);
    expect(await verify(scrip.databaseUrl, { accountId, all: true })).toMatchObject({ ok: true });
  });

  test.each(['commit', 'release'] as const)(
    'of an ended reservation (%s) takes reference and labels from the reservation, and no more',
    async (end) => {
      const accountId = await openWithCredits(scrip, 100n);
      const request = { accountId, requestId: requestId(), credits: 10n, ...PERSONAL };
      const { entrySeq, reservation } = await scrip.billing.reserve(request);
      const { reservationId } = defined(reservation);
      const ended = { accountId, requestId: requestId(), reservationId };
      const { reservation: last } = await (end === 'commit'
        ? scrip.billing.commit({ ...ended, credits: 4n })
        : scrip.billing.release(ended));
      await erase(accountId, entrySeq);
      const without = { ...defined(last), reference: '', labels: new Map() };
      for (const { billing } of [scrip, twin]) {
        const got = await billing.getReservation({ accountId, reservationId });
        expect(got.reservation).toEqual(without);
        const { reservations } = await billing.listReservations({ accountId });
        expect(reservations).toEqual([without]);
        expect(reservations[0]?.state).not.toBe(Reservation_State.ACTIVE);
      }
    },
  );

  test('of a change of settings keeps which ones changed, and not the name', async () => {
    const accountId = requestId();
    const named = () => ({ accountId, requestId: requestId() });
    const open = { ...named(), planId: 'verts', displayName: 'Anna Maier' };
    await scrip.accounts.openAccount(open);
    const update = { ...named(), displayName: 'A. Maier', pauseFloor: { credits: 7n } };
    const { entrySeq } = await scrip.accounts.updateAccount(update);
    expect((await newestEntry(scrip, accountId)).details).toEqual(
      mapOf({ display_name: 'A. Maier', pause_floor: '7' }),
    );
    await erase(accountId, 1n);
    await erase(accountId, entrySeq);
    expect((await entriesOf(scrip, accountId)).map(({ details }) => details)).toEqual([
      new Map(),
      mapOf({ pause_floor: '7' }),
    ]);
    // An account that exists is not opened again, nor is that said of an erased request.
    expect((await errorOf(scrip.accounts.openAccount(open))).reason).toBe('REQUEST_ID_REUSED');
    const again = { ...open, requestId: requestId() };
    expect((await errorOf(scrip.accounts.openAccount(again))).reason).toBe('ACCOUNT_EXISTS');
  });

  test('of an operator has neither a reason nor on whose behalf any more; the terms stay', async () => {
    const forAnna = new Metadata();
    forAnna.set('x-on-behalf-of', 'user:anna');
    const options = { metadata: forAnna };
    const accountId = await scrip.open('verts');
    const named = () => ({ accountId, requestId: requestId(), reason: 'Anna Maier called' });
    const granting = { ...named(), credits: 9n, category: Grant_Category.PAID };
    await scrip.accounts.grantCredits(granting, options);
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 5n }, options);
    await scrip.billing.refund({ ...named(), seq: 3n, all: true }, options);
    await scrip.accounts.moveAccount({ ...named(), planId: 'perfectparser' }, options);
    const before = (await entriesOf(scrip, accountId)).slice(1);
    expect(before.map(({ onBehalfOf }) => onBehalfOf)).toEqual(Array(4).fill('user:anna'));
    for (const { seq } of before) await erase(accountId, seq);
    for (const replica of [scrip, twin])
      expect((await entriesOf(replica, accountId)).slice(1)).toEqual(
        before.map((entry) => {
          const { reason: _, ...details } = Object.fromEntries(entry.details);
          return { ...entry, onBehalfOf: '', details: mapOf(details) };
        }),
      );
    expect(await storedRows(scrip, accountId)).not.toMatch(/anna|Maier/i);
    expect(await verify(scrip.databaseUrl, { accountId, all: true })).toMatchObject({ ok: true });
  });

  test('of a rejected purchase has no reason any more', async () => {
    const accountId = await scrip.open('verts');
    const purchaseId = await insertMismatched(scrip, accountId);
    const reason = 'Anna Maier paid twice';
    const request = { accountId, requestId: requestId(), purchaseId, reason };
    const { entrySeq } = await scrip.accounts.resolvePurchase({
      ...request,
      decision: Decision.REJECTED,
    });
    await erase(accountId, entrySeq);
    const entry = await newestEntry(scrip, accountId);
    expect(entry).toMatchObject({ seq: entrySeq, purchaseId, details: new Map(), reference: '' });
  });
});

test('an entry whose response repeats personal data has a salt, also where it has none itself', async () => {
  const named = () => ({ accountId, requestId: requestId() });
  const accountId = await openWithCredits(scrip, 100n);
  await scrip.accounts.updateAccount({ ...named(), displayName: 'Anna Maier' });
  await scrip.accounts.updateAccount({ ...named(), pauseFloor: { credits: 3n } });
  const reserve = { ...named(), credits: 5n, ...PERSONAL };
  const { reservation } = await scrip.billing.reserve(reserve);
  const { reservationId } = defined(reservation);
  await scrip.billing.release({ ...named(), reservationId });
  await scrip.accounts.closeAccount(named());
  const stored = await execute(
    scrip.databaseUrl,
    'select seq, salt is null as unsalted from entries where account_id = $1 and method is not null',
    [accountId],
  );
  expect(stored.length).toBe(7);
  expect(stored.filter(({ unsalted }) => unsalted)).toEqual([]);
});
