/** EraseAccountData, on accounts whose every text of a caller has the same mark. */
import { Metadata, status } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { BudgetEnforcement, BudgetPeriod } from '../../src/gen/billing/v1/budget.ts';
import { Delivery_State } from '../../src/gen/billing/v1/event_service.ts';
import {
  Purchase_Resolution_Decision as Decision,
  Entry_Kind,
  Grant_Category,
  Grant_Source,
} from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { verify } from '../../src/verify/verify.ts';
import {
  balanceOf,
  defined,
  entriesOf,
  grant,
  HOUR,
  newestEntry,
  openWithCredits,
  reserveCredits,
  storedRows,
} from '../accounts.ts';
import { lockAccount, waitForBlockedSessions } from '../disruptions.ts';
import { accepts, answers, Receiver } from '../events/receiver.ts';
import { insertMismatched } from '../payments/given.ts';
import { deliver, StripeFake } from '../payments/stripe-fake.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

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

/** In every text that a caller gives. */
const MARK = 'AnnaMaier';
const labels = mapOf({ [MARK]: MARK });
const forAnna = new Metadata();
forAnna.set('x-on-behalf-of', MARK);

const named = (accountId: string) => ({ accountId, requestId: requestId() });
const close = (accountId: string) => scrip.accounts.closeAccount(named(accountId));
const erase = (accountId: string, more: { readonly requestId?: string } = {}) =>
  scrip.accounts.eraseAccountData({ ...named(accountId), reason: 'ticket 17', ...more });
const verified = (accountId: string) => verify(scrip.databaseUrl, { accountId, all: true });

/** A closed account with the mark in every column that can have it. */
async function closedWithMarks() {
  const { accounts, billing } = scrip;
  const accountId = `acct-${requestId()}`;
  const opened = { ...named(accountId), planId: 'verts', displayName: MARK, labels };
  await accounts.openAccount(opened, { metadata: forAnna });
  await grant(scrip, accountId, 1_000n, { reference: MARK, labels, reason: MARK });
  await grant(scrip, accountId, 5n, {
    reference: `${MARK} later`,
    effectiveAt: new Date(scrip.now() + 1_000 * HOUR),
  });
  const reservationIds = await reservations(accountId);
  const charge = { ...named(accountId), credits: 3n, reference: MARK, labels };
  const { entrySeq: seq } = await billing.charge(charge, { metadata: forAnna });
  await billing.refund({ ...named(accountId), seq, all: true, reason: MARK, labels });
  const purchaseIds = await purchases(accountId);
  await topUp(accountId);
  await scrip.service.countUsage();
  await close(accountId);
  return { accountId, reservationIds, purchaseIds, charge };
}

/** One that was committed, and one that has expired. */
async function reservations(accountId: string) {
  const reserve = async () => {
    const request = { ...named(accountId), credits: 5n, reference: MARK, labels };
    return defined((await scrip.billing.reserve(request)).reservation).reservationId;
  };
  const committed = await reserve();
  await scrip.billing.commit({ ...named(accountId), reservationId: committed, credits: 2n });
  const expired = await reserve();
  scrip.advance(48 * HOUR);
  twin.advance(48 * HOUR);
  await scrip.service.sweep();
  return { committed, expired };
}

/** One that was paid elsewhere, and two by checkout: paid as ordered, and otherwise. */
async function purchases(accountId: string) {
  const { billing, accounts } = scrip;
  const bought = { packId: 'starter', labels };
  const paidElsewhere = { $case: 'paymentReference' as const, value: MARK };
  const elsewhere = await billing.purchase({
    ...named(accountId),
    ...bought,
    payment: paidElsewhere,
  });
  const urls = { successUrl: `https://shop/${MARK}`, cancelUrl: `https://shop/${MARK}/cart` };
  const payment = {
    $case: 'checkout' as const,
    value: { ...urls, customerEmail: `${MARK}@example.com` },
  };
  const purchaseIds = [defined(elsewhere.purchase).purchaseId];
  for (const amount of [null, 400]) {
    const { purchase } = await billing.purchase({ ...named(accountId), ...bought, payment });
    const { purchaseId } = defined(purchase);
    const { id } = stripe.sessionOf(purchaseId);
    const session = amount === null ? stripe.pay(id) : stripe.payOther(id, amount);
    const event = stripe.event('checkout.session.completed', session);
    await deliver(scrip.service.webhookPort, event);
    purchaseIds.push(purchaseId);
    if (amount === null) continue;
    const decision = { purchaseId, decision: Decision.ACCEPTED, reason: MARK };
    await accounts.resolvePurchase({ ...named(accountId), ...decision });
  }
  return purchaseIds;
}

async function topUp(accountId: string) {
  const autoTopUp = {
    packId: 'starter',
    threshold: 100_000n,
    monthlyCap: 200,
    customer: `cus_${MARK}`,
    paymentMethod: `pm_${MARK}`,
  };
  await scrip.accounts.updateAccount({
    ...named(accountId),
    displayName: `${MARK} again`,
    autoTopUp: { autoTopUp },
  });
  await scrip.service.topUp();
}

/** The rows of an account that have the mark, as a text or in the bytes of a response, by their tables. */
async function marked(accountId: string): Promise<Readonly<Record<string, number>>> {
  const { databaseUrl } = scrip;
  const tables = await execute(
    databaseUrl,
    `select table_name::text from information_schema.columns
     where table_schema = current_schema and column_name = 'account_id'
       and table_name not in ('history', 'history_moves', 'history_usages', 'running_reservations')`,
  );
  const found: Record<string, number> = {};
  for (const { table_name: table } of tables) {
    const [row] = await execute(
      databaseUrl,
      `select count(*)::int as rows from ${table} t
       where account_id = $1 and (t::text like '%' || $2 || '%' or t::text like '%' || $3 || '%')`,
      [accountId, MARK, Buffer.from(MARK).toString('hex')],
    );
    if (row?.['rows']) found[String(table)] = Number(row['rows']);
  }
  return found;
}

/** A closed account with the mark in its budgets, the reason of its suspension, and what was imported. */
async function importedWithMarks(): Promise<string> {
  const { accounts, billing } = scrip;
  const accountId = `acct-${requestId()}`;
  const day = (many: number) => new Date(scrip.now() - many * 24 * HOUR);
  await accounts.importAccount({
    ...{ ...named(accountId), planId: 'verts', openedAt: day(90), system: 'billing-v1' },
    ...{ displayName: MARK, labels, reference: MARK },
    grants: [
      {
        ...{ source: Grant_Source.OPERATOR, category: Grant_Category.ADJUSTMENT, credits: 90n },
        ...{ effectiveAt: day(20), reference: MARK },
      },
    ],
    purchases: [
      {
        ...{ packId: 'starter', credits: 100n, price: { currency: 'USD', amount: '9.5' } },
        ...{ paidAt: day(30), paymentReference: MARK },
      },
    ],
  });
  const perUser = {
    budgetId: 'per-user',
    dimension: { $case: 'label', value: 'user' },
    period: BudgetPeriod.DAY,
    enforcement: BudgetEnforcement.SOFT,
  } as const;
  const exceptions = [{ value: MARK, cap: { $case: 'credits', value: 2n } as const }];
  const set = (budget: NonNullable<Parameters<typeof accounts.setBudget>[0]['budget']>) =>
    accounts.setBudget({ ...named(accountId), reason: MARK, budget });
  await set({ ...perUser, credits: 50n, exceptions });
  await set({ ...perUser, budgetId: 'of-one', value: MARK, credits: 1n });
  await set({ ...perUser, budgetId: 'removed', value: MARK, credits: 1n });
  await accounts.removeBudget({ ...named(accountId), budgetId: 'removed', reason: MARK });
  const used = { credits: 3n, labels: mapOf({ user: MARK }) };
  await billing.charge({ ...named(accountId), ...used });
  await scrip.service.countUsage();
  await accounts.suspendAccount({ ...named(accountId), reason: MARK });
  await close(accountId);
  return accountId;
}

describe('EraseAccountData', () => {
  test('leaves no text of budgets, suspensions and imports', async () => {
    const accountId = await importedWithMarks();
    expect(Object.keys(await marked(accountId)).toSorted()).toEqual([
      'accounts',
      'budget_counters',
      'entries',
      'events',
      'grants',
      'purchases',
      'usage_positions',
      'usage_rollups',
    ]);
    await erase(accountId);
    await scrip.service.countUsage();
    expect(await marked(accountId)).toEqual({});
    expect(await verified(accountId)).toMatchObject({ ok: true });
  });

  test('leaves no text of a caller in any table, and an audit that holds', async () => {
    const { accountId } = await closedWithMarks();
    expect(Object.keys(await marked(accountId)).toSorted()).toEqual([
      'accounts',
      'entries',
      'events',
      'grants',
      'purchases',
      'reservations',
      'usage_positions',
      'usage_rollups',
    ]);
    const [before] = await execute(
      scrip.databaseUrl,
      `select seq, encode(last_hash, 'hex') as hash, remaining, granted from accounts where account_id = $1`,
      [accountId],
    );
    const { account, entrySeq } = await erase(accountId);
    expect(account).toMatchObject({ displayName: '', labels: new Map(), autoTopUp: undefined });
    expect(await marked(accountId)).toEqual({});
    expect(await verified(accountId)).toMatchObject({ ok: true });
    expect(entrySeq).toBe(BigInt(String(before?.['seq'])) + 1n);
    const [entry, ...more] = await entriesOf(scrip, accountId, { afterSeq: entrySeq - 1n });
    expect(entry).toMatchObject({ kind: Entry_Kind.ERASE_ACCOUNT_DATA, caller: 'test' });
    expect(entry?.details.get('reason')).toBe('ticket 17');
    expect(more).toEqual([]);
    const [after] = await execute(
      scrip.databaseUrl,
      `select e.seq, encode(e.hash, 'hex') as hash, remaining, granted
       from accounts join entries e using (account_id) where account_id = $1 and e.seq = $2`,
      [accountId, before?.['seq']],
    );
    expect(after).toEqual(before);
  });

  test('leaves everything readable, on every replica', async () => {
    const { accountId, reservationIds, purchaseIds } = await closedWithMarks();
    const before = await entriesOf(twin, accountId);
    const { available } = await balanceOf(scrip, accountId);
    await erase(accountId);
    for (const { accounts, billing, statements } of [scrip, twin]) {
      const { account } = await accounts.getAccount({ accountId });
      expect(account).toMatchObject({ displayName: '', labels: new Map() });
      for (const reservationId of Object.values(reservationIds)) {
        const { reservation } = await billing.getReservation({ accountId, reservationId });
        expect(reservation).toMatchObject({ reservationId, reference: '', labels: new Map() });
      }
      for (const purchaseId of purchaseIds) {
        const { purchase } = await billing.getPurchase({ accountId, purchaseId });
        expect(purchase).toMatchObject({ purchaseId, labels: new Map() });
      }
      const answers = [
        account,
        await entriesOf({ ...scrip, billing }, accountId),
        await billing.listPurchases({ accountId }),
        await billing.listReservations({ accountId }),
        await accounts.listGrants({ accountId }),
        await statements.listStatements({ accountId }),
      ];
      expect(text(answers)).not.toContain(MARK);
      expect((await balanceOf({ ...scrip, billing }, accountId)).available).toBe(available);
    }
    const moves = (entries: typeof before) =>
      entries.map(({ kind, seq, moves }) => [seq, kind, moves]);
    expect(moves((await entriesOf(twin, accountId)).slice(0, -1))).toEqual(moves(before));
  });

  test('leaves its events in their order, those of texts without data', async () => {
    const { accountId } = await closedWithMarks();
    await erase(accountId);
    const rows = await execute(
      scrip.databaseUrl,
      `select type, data = '{}' as erased from events where account_id = $1`,
      [accountId],
    );
    const erased = new Set(rows.filter((row) => row['erased']).map(({ type }) => type));
    expect(erased).toEqual(
      new Set(['reservation.expired', 'purchase.completed', 'purchase.resolved']),
    );
  });

  test('is answered alike when it is repeated, and a request before it is refused', async () => {
    const { accountId, charge } = await closedWithMarks();
    const id = requestId();
    const first = await erase(accountId, { requestId: id });
    const rows = await storedRows(scrip, accountId);
    const again = await twin.accounts.eraseAccountData({
      accountId,
      requestId: id,
      reason: 'ticket 17',
    });
    expect({ ...again, replay: undefined }).toEqual(first);
    expect(again.replay).toBeDefined();
    for (const replica of [scrip, twin])
      expect(await errorOf(replica.billing.charge(charge))).toMatchObject({
        code: status.INVALID_ARGUMENT,
        reason: 'REQUEST_ID_REUSED',
      });
    expect(await storedRows(scrip, accountId)).toBe(rows);
  });

  test('erases again what was written after it, under another request id', async () => {
    const { accountId } = await closedWithMarks();
    const first = await erase(accountId);
    const charge = (await entriesOf(scrip, accountId)).findLast(
      ({ kind }) => kind === Entry_Kind.COMMIT,
    );
    const { seq } = defined(charge);
    await scrip.billing.refund({ ...named(accountId), seq, all: true, reason: MARK, labels });
    expect(await marked(accountId)).toEqual({ entries: 1 });
    expect(await verified(accountId)).toMatchObject({ ok: true });
    const second = await erase(accountId);
    expect(second.entrySeq).toBe(first.entrySeq + 2n);
    expect(await marked(accountId)).toEqual({});
    expect(await verified(accountId)).toMatchObject({ ok: true });
  });

  /** Fails once the entry is durable. Returns its seq. */
  async function failToErase(accountId: string, id: string): Promise<bigint> {
    const sql = 'execute on function erase_account_data(text, bigint, bigint, int)';
    // Only on this server: a Citus cluster has the function on all.
    const here = 'set citus.enable_ddl_propagation = off';
    await execute(scrip.databaseUrl, `${here}; revoke ${sql} from scrip_runtime`);
    const error = await errorOf(erase(accountId, { requestId: id }));
    await execute(scrip.databaseUrl, `${here}; grant ${sql} to scrip_runtime`);
    expect(error).toMatchObject({ code: status.INTERNAL });
    const { kind, seq } = await newestEntry(scrip, accountId);
    expect(kind).toBe(Entry_Kind.ERASE_ACCOUNT_DATA);
    return seq;
  }

  test('that failed half-way goes on under the same request id', async () => {
    const { accountId } = await closedWithMarks();
    const id = requestId();
    const seq = await failToErase(accountId, id);
    await execute(scrip.databaseUrl, 'select erase_account_data($1, $2, 0, 1)', [accountId, seq]);
    expect(await marked(accountId)).not.toEqual({});
    const answer = await erase(accountId, { requestId: id });
    expect(answer).toMatchObject({ entrySeq: seq, replay: expect.anything() });
    expect(await marked(accountId)).toEqual({});
    expect(await verified(accountId)).toMatchObject({ ok: true });
  });

  test('keeps the audit holding after each step of the erasure', async () => {
    const { accountId } = await closedWithMarks();
    const seq = await failToErase(accountId, requestId());
    for (let after = 0n; after < seq; ) {
      const [row] = await execute(
        scrip.databaseUrl,
        'select erase_account_data($1, $2, $3, 1) as erased',
        [accountId, seq, after],
      );
      after = BigInt(String(row?.['erased']));
      expect(await verified(accountId)).toMatchObject({ ok: true });
    }
    await scrip.service.countUsage();
    expect(await verified(accountId)).toMatchObject({ ok: true });
    expect(await marked(accountId)).toEqual({});
  });

  test('by two replicas at once erases everything once', async () => {
    const { accountId } = await closedWithMarks();
    const request = { ...named(accountId), reason: 'ticket 17' };
    const answers = await Promise.all(
      [scrip, twin, scrip, twin].map(({ accounts }) => accounts.eraseAccountData(request)),
    );
    expect(new Set(answers.map(({ entrySeq }) => entrySeq)).size).toBe(1);
    expect(await marked(accountId)).toEqual({});
    expect(await verified(accountId)).toMatchObject({ ok: true });
  });
});

describe('EraseAccountData is refused', () => {
  test('for an open account', async () => {
    const accountId = await openWithCredits(scrip, 1n);
    expect(await errorOf(erase(accountId))).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'ACCOUNT_NOT_CLOSED',
      metadata: { account_id: accountId },
    });
  });

  test('without a reason', async () => {
    const accountId = await openWithCredits(scrip, 1n);
    await close(accountId);
    const request = { ...named(accountId), reason: '' };
    expect(await errorOf(scrip.accounts.eraseAccountData(request))).toMatchObject({
      reason: 'INVALID_FIELD',
      fields: ['reason'],
    });
  });

  test('while a reservation runs, also one of nothing', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const first = await reserveCredits(scrip, accountId, 3n);
    const second = await reserveCredits(scrip, accountId, 0n);
    await close(accountId);
    for (const reservationId of [second, first]) {
      const { reason, metadata } = await errorOf(erase(accountId));
      expect(reason).toBe('RESERVATION_ACTIVE');
      expect([first, second]).toContain(metadata['reservation_id']);
      await scrip.billing.release({ ...named(accountId), reservationId });
    }
    await erase(accountId);
  });

  test('in the unit of work that ends another reservation, which expires last', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    await reserveCredits(scrip, accountId, 3n);
    const ids = [
      await reserveCredits(scrip, accountId, 2n),
      await reserveCredits(scrip, accountId, 1n),
    ];
    await close(accountId);
    const unlock = await lockAccount(scrip.databaseUrl, accountId);
    const release = (reservationId: string) =>
      scrip.billing.release({ ...named(accountId), reservationId });
    const first = release(defined(ids[0]));
    await waitForBlockedSessions(scrip.databaseUrl);
    // Both wait for the first, and then go together.
    const calls = [release(defined(ids[1])), errorOf(erase(accountId))];
    await unlock();
    await first;
    expect((await Promise.all(calls))[1]).toMatchObject({ reason: 'RESERVATION_ACTIVE' });
  });

  test('once all reservations have expired it is not', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    await reserveCredits(scrip, accountId, 3n);
    await close(accountId);
    scrip.advance(48 * HOUR);
    twin.advance(48 * HOUR);
    expect((await erase(accountId)).entrySeq).toBeGreaterThan(0n);
    expect(await verified(accountId)).toMatchObject({ ok: true });
  });

  test('while a purchase is pending or mismatched', async () => {
    const accountId = await scrip.open('verts');
    const payment = {
      $case: 'checkout' as const,
      value: { successUrl: 'https://shop', cancelUrl: 'https://shop' },
    };
    const { purchase } = await scrip.billing.purchase({
      ...named(accountId),
      packId: 'starter',
      payment,
    });
    const { purchaseId } = defined(purchase);
    await close(accountId);
    expect(await errorOf(erase(accountId))).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: 'PURCHASE_UNSETTLED',
      metadata: { purchase_id: purchaseId, state: 'PENDING' },
    });
    const other = await openWithCredits(scrip, 1n);
    const mismatched = await insertMismatched(scrip, other);
    await close(other);
    expect(await errorOf(erase(other))).toMatchObject({
      reason: 'PURCHASE_UNSETTLED',
      metadata: { purchase_id: mismatched, state: 'MISMATCHED' },
    });
  });
});

describe('the SQL function that erases, called by the role of the service', () => {
  const callAs = async (role: string, before: string, accountId: string, seq: bigint) => {
    const client = new pg.Client(scrip.databaseUrl);
    await client.connect();
    await client.query(`${before}; set role ${role}`);
    const { rows } = await client.query('select erase_account_data($1, $2, 0, 10) as erased', [
      accountId,
      seq,
    ]);
    await client.end();
    return rows[0].erased;
  };

  test('refuses an open account, a closed one without an entry, and other entries', async () => {
    const open = await openWithCredits(scrip, 1n);
    const closed = await openWithCredits(scrip, 1n);
    await close(closed);
    const rows = [await storedRows(scrip, open), await storedRows(scrip, closed)];
    for (const [accountId, seq] of [
      [open, 1n],
      [open, 9n],
      [closed, 3n],
      [closed, 4n],
      ['nobody', 1n],
    ] as const)
      expect(await callAs('scrip_runtime', '', accountId, seq), `${seq}`).toBeNull();
    expect([await storedRows(scrip, open), await storedRows(scrip, closed)]).toEqual(rows);
    const { entrySeq } = await erase(closed);
    expect(await callAs('scrip_runtime', '', closed, entrySeq)).toBe(`${entrySeq}`);
  });

  test('is not misled by tables of that role', async () => {
    const accountId = await openWithCredits(scrip, 1n);
    const misleading = `
      create temp table accounts as select account_id, 'CLOSED' as state, version from accounts;
      create temp table entries as select account_id, seq, 24 as kind, content from entries;
      grant all on accounts, entries to scrip_runtime;
      select set_config('search_path', 'pg_temp, ' || current_schema, false)`;
    expect(await callAs('scrip_runtime', misleading, accountId, 2n)).toBeNull();
  });
});

test('an erased event is delivered without data, and the answer to an earlier delivery is gone', async () => {
  const receiver = await new Receiver().open();
  receiver.answer = answers(410, {}, `no ${MARK}`);
  const own = await startTestService({ env: { ...receiver.env, EVENTS_POLL_MS: '50' } });
  const accountId = await openWithCredits(own, 10n);
  await own.billing.reserve({ ...named(accountId), credits: 3n, reference: MARK });
  own.advance(48 * HOUR);
  await own.service.sweep();
  const dead = () =>
    vi.waitFor(
      async () => {
        const { deliveries } = await own.events.listDeliveries({ state: Delivery_State.DEAD });
        expect(deliveries.map(({ event }) => event?.type)).toContain('reservation.expired');
        return defined(deliveries.find(({ event }) => event?.type === 'reservation.expired'));
      },
      { timeout: 60_000, interval: 20 },
    );
  expect(await dead()).toMatchObject({ lastError: expect.stringContaining(MARK) });
  await own.accounts.closeAccount(named(accountId));
  await own.accounts.eraseAccountData({ ...named(accountId), reason: 'ticket 17' });
  const { event, lastError } = await dead();
  expect([lastError, event?.data]).toEqual(['', new Map()]);
  const before = receiver.received.length;
  receiver.answer = accepts;
  await own.events.replayDelivery({ accountId, eventId: defined(event).eventId });
  await vi.waitFor(() => expect(receiver.received.length).toBe(before + 1), 25_000);
  expect(receiver.received.at(-1)?.event).toMatchObject({
    id: event?.eventId,
    type: 'scrip.reservation.expired',
    data: {},
  });
  await own.stop();
  await receiver.close();
});

/** Of messages, with their maps, integers and bytes. */
const text = (value: unknown): string =>
  JSON.stringify(value, (_, member: unknown) => {
    if (member instanceof Map) return [...member];
    return typeof member === 'bigint' ? `${member}` : member;
  });

test('what is granted by hand stays what it is', async () => {
  const accountId = await openWithCredits(scrip, 10n);
  await close(accountId);
  await erase(accountId);
  const { grants } = await scrip.accounts.listGrants({ accountId });
  expect(grants).toMatchObject([{ amount: 10n, remaining: 10n, category: Grant_Category.PAID }]);
});
