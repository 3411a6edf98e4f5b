/** Any id of a charge leads to its whole path, whichever replicas served it. */
import '../../src/telemetry/sdk.ts';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memberName } from '../../src/cli/member-name.ts';
import { Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { ChargePath_Gap, ChargePath_State } from '../../src/gen/billing/v1/operator_service.ts';
import { defined, entriesOf, INSPECT, MINUTE, openWithCredits } from '../accounts.ts';
import { type Cluster, startCluster } from '../cluster/cluster.ts';
import { execute } from '../postgres.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId } from '../service.ts';
import { foundKinds, kindsOf, named, newTrace, pathOf, seqsOf, traceAll } from './traced.ts';

const URL_TEMPLATE = 'https://traces.test/trace/{trace_id}?span={span_id}';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ env: { TRACE_URL_TEMPLATE: URL_TEMPLATE } });
});
afterAll(() => cluster.stop());

/**
 * Reserved on one replica; extended, raised and committed in two parts on the other; the last part is partly refunded on
 * the first. Each call is in a trace of its own.
 */
async function givenLongCharge() {
  const { a, b } = cluster;
  const accountId = await openWithCredits(a, 100n);
  const reference = `job-${requestId()}`;
  const calls = {
    reserve: named(accountId),
    extend: named(accountId),
    raise: named(accountId),
    first: named(accountId),
    second: named(accountId),
    refund: named(accountId),
  };
  const traces = Object.fromEntries(Object.keys(calls).map((name) => [name, newTrace()]));
  const inTrace = (name: keyof typeof calls) => ({ metadata: defined(traces[name]).metadata });
  const reserved = await a.billing.reserve(
    { ...calls.reserve, usages: { items: [{ ...INSPECT, count: 10n }] }, reference },
    inTrace('reserve'),
  );
  const { reservationId } = defined(reserved.reservation);
  const of = { reservationId };
  const ttl = { seconds: 7_200n };
  await b.billing.extendReservation({ ...calls.extend, ...of, ttl }, inTrace('extend'));
  await b.billing.raiseReservation(
    { ...calls.raise, ...of, usages: { items: [INSPECT] } },
    inTrace('raise'),
  );
  await b.billing.commit({ ...calls.first, ...of, credits: 4n, final: false }, inTrace('first'));
  const { entrySeq } = await b.billing.commit(
    { ...calls.second, ...of, credits: 5n },
    inTrace('second'),
  );
  await a.billing.refund(
    { ...calls.refund, seq: entrySeq, credits: 2n, reason: 'a test' },
    inTrace('refund'),
  );
  return { accountId, reservationId, reference, calls, traces, committedSeq: entrySeq };
}

const WHOLE = ['RESERVE', 'EXTEND', 'RAISE', 'COMMIT', 'COMMIT', 'REFUND'];

describe('A charge that was reserved on one replica, and committed in two parts on another', () => {
  let given: Awaited<ReturnType<typeof givenLongCharge>>;
  beforeAll(async () => {
    given = await givenLongCharge();
  });

  test.each([
    ['reserve', 'RESERVE'],
    ['extend', 'EXTEND'],
    ['raise', 'RAISE'],
    ['first', 'COMMIT'],
    ['second', 'COMMIT'],
    ['refund', 'REFUND'],
  ] as const)('is found by the trace and the request of its %s', async (name, kind) => {
    const trace = defined(given.traces[name]);
    const ids = [
      { $case: 'traceId', value: trace.traceId },
      { $case: 'requestId', value: given.calls[name].requestId },
    ] as const;
    for (const replica of cluster.replicas)
      for (const id of ids) {
        const path = await pathOf(replica, id);
        expect(kindsOf(path)).toEqual(WHOLE);
        expect(foundKinds(path)).toEqual([kind]);
      }
  });

  test('is found by its reservation, its reference and each of its entries', async () => {
    const { accountId, reservationId, reference } = given;
    const byReservation = await pathOf(cluster.b, { $case: 'reservationId', value: reservationId });
    expect(kindsOf(byReservation)).toEqual(WHOLE);
    expect(foundKinds(byReservation)).toEqual(WHOLE);
    const byReference = await pathOf(cluster.a, { $case: 'reference', value: reference });
    expect(byReference).toEqual(byReservation);
    for (const seq of seqsOf(byReservation)) {
      const path = await pathOf(cluster.a, { $case: 'entrySeq', value: seq }, accountId);
      expect(seqsOf(path)).toEqual(seqsOf(byReservation));
      expect(path.steps.filter(({ found }) => found)).toHaveLength(1);
    }
  });

  test('is complete, and shows its prices, grants, callers, balances and links', async () => {
    const { accountId, reservationId, traces } = given;
    const path = await pathOf(cluster.a, { $case: 'reservationId', value: reservationId });
    expect(path).toMatchObject({
      key: { accountId, charge: { $case: 'reservationId', value: reservationId } },
      planId: 'verts',
      state: ChargePath_State.ENDED,
      until: undefined,
      gaps: [],
      complete: true,
      grants: [{ grantId: 1n, amount: 100n }],
    });
    expect(path.rateCardVersion).toBeGreaterThan(0n);
    const entries = path.steps.map(({ entry }) => defined(entry));
    // They are the entries of the history.
    const history = await entriesOf(cluster.b, accountId);
    expect(entries).toEqual(history.filter((entry) => entry.reservationId === reservationId));
    expect(entries.map(({ remainingAfter }) => remainingAfter)).toEqual([
      100n,
      100n,
      100n,
      96n,
      91n,
      93n,
    ]);
    for (const [index, name] of Object.keys(traces).entries()) {
      const { entry, traceUrl } = defined(path.steps[index]);
      const { traceId, spanId, caller } = defined(entry);
      expect({ traceId, caller }).toEqual({ traceId: traces[name]?.traceId, caller: 'test' });
      expect(traceUrl).toBe(`https://traces.test/trace/${traceId}?span=${spanId}`);
    }
  });
});

describe('A reservation', () => {
  async function reserve(ttlSeconds: bigint) {
    const accountId = await openWithCredits(cluster.a, 100n);
    const trace = newTrace();
    const { reservation } = await cluster.a.billing.reserve(
      { ...named(accountId), credits: 10n, ttl: { seconds: ttlSeconds } },
      trace,
    );
    const { reservationId, expiresAt } = defined(reservation);
    return { accountId, reservationId, expiresAt: defined(expiresAt), ...trace };
  }

  test('that runs says until when', async () => {
    const { traceId, expiresAt } = await reserve(3_600n);
    const path = await pathOf(cluster.b, { $case: 'traceId', value: traceId });
    expect(kindsOf(path)).toEqual(['RESERVE']);
    expect(path).toMatchObject({
      state: ChargePath_State.RUNNING,
      until: expiresAt,
      complete: false,
      gaps: [],
    });
  });

  test('that the sweeper expired is found by the trace of its Reserve', async () => {
    const { traceId, expiresAt } = await reserve(60n);
    cluster.advance(2 * MINUTE);
    const id = { $case: 'traceId', value: traceId } as const;
    const overdue = await pathOf(cluster.b, id);
    expect(overdue).toMatchObject({ state: ChargePath_State.OVERDUE, until: expiresAt });
    await cluster.sweep();
    const late = await pathOf(cluster.b, id);
    expect(kindsOf(late)).toEqual(['RESERVE', 'EXPIRE']);
    expect(late.steps[1]?.entry?.caller).toBe('scrip');
    expect(late.state).toBe(ChargePath_State.LATE);
    const { plan } = await cluster.a.plans.getPlan({ planId: 'verts' });
    const graceMs = Number(plan?.terms?.lateCommitGrace?.seconds) * 1_000;
    expect(late.until?.getTime()).toBe(expiresAt.getTime() + graceMs);
    cluster.advance(graceMs);
    expect(await pathOf(cluster.b, id)).toMatchObject({
      state: ChargePath_State.ENDED,
      complete: true,
      until: undefined,
    });
  });

  test('that was committed late has ended, and its commit says so', async () => {
    const { accountId, reservationId } = await reserve(60n);
    cluster.advance(2 * MINUTE);
    await cluster.b.billing.commit({ ...named(accountId), reservationId, all: true });
    const path = await pathOf(cluster.a, { $case: 'reservationId', value: reservationId });
    expect(kindsOf(path)).toEqual(['RESERVE', 'EXPIRE', 'COMMIT']);
    expect(path.steps.at(-1)?.entry?.late).toBe(true);
    expect(path.complete).toBe(true);
  });

  test('that was released has ended', async () => {
    const { accountId, reservationId } = await reserve(60n);
    await cluster.b.billing.release({ ...named(accountId), reservationId });
    const path = await pathOf(cluster.a, { $case: 'reservationId', value: reservationId });
    expect(kindsOf(path)).toEqual(['RESERVE', 'RELEASE']);
    expect(path.complete).toBe(true);
  });

  test('of which entries were lost says which', async () => {
    const { accountId, reservationId } = await reserve(60n);
    await cluster.a.billing.commit({ ...named(accountId), reservationId, all: true });
    const lose = (kind: string) =>
      execute(
        cluster.databaseUrl,
        `delete from entries e using history h where e.account_id = h.account_id and e.seq = h.seq
         and h.reservation_id = '${reservationId}' and h.kind = '${kind}'`,
      );
    const id = { $case: 'reservationId', value: reservationId } as const;
    await lose('COMMIT');
    expect(await pathOf(cluster.a, id)).toMatchObject({
      gaps: [ChargePath_Gap.END],
      complete: false,
    });
    const again = await reserve(60n);
    await cluster.a.billing.commit({ ...named(again.accountId), ...again, all: true });
    await execute(
      cluster.databaseUrl,
      `delete from entries e using history h where e.account_id = h.account_id and e.seq = h.seq
       and h.reservation_id = '${again.reservationId}' and h.kind = 'RESERVE'`,
    );
    expect(
      await pathOf(cluster.a, { $case: 'reservationId', value: again.reservationId }),
    ).toMatchObject({ gaps: [ChargePath_Gap.BEGINNING], complete: false });
  });

  test('of which personal data was erased says so', async () => {
    const { accountId, reservationId } = await reserve(60n);
    await cluster.a.billing.release({ ...named(accountId), reservationId });
    const id = { $case: 'reservationId', value: reservationId } as const;
    const [seq] = seqsOf(await pathOf(cluster.a, id));
    await execute(cluster.databaseUrl, 'select erase_entry($1, $2)', [accountId, seq]);
    const path = await pathOf(cluster.a, id);
    expect(path.steps.map(({ erased }) => erased)).toEqual([true, false]);
    expect(path).toMatchObject({ gaps: [ChargePath_Gap.ERASED], complete: false });
  });
});

describe('Other charges', () => {
  test('a Charge has its refunds, whichever of them is asked for', async () => {
    const accountId = await openWithCredits(cluster.a, 100n);
    const charge = named(accountId);
    const { entrySeq: seq } = await cluster.a.billing.charge({ ...charge, credits: 10n });
    const refund = { ...named(accountId), seq, credits: 3n, reason: 'a test' };
    const { entrySeq: refundSeq } = await cluster.b.billing.refund(refund);
    // Another charge, which does not belong to it.
    await cluster.a.billing.charge({ ...named(accountId), credits: 1n });
    const ids = [
      { $case: 'requestId', value: charge.requestId },
      { $case: 'requestId', value: refund.requestId },
      { $case: 'entrySeq', value: refundSeq },
    ] as const;
    for (const id of ids) {
      const path = await pathOf(cluster.b, id, accountId);
      expect(path.key).toEqual({ accountId, charge: { $case: 'entrySeq', value: seq } });
      expect(seqsOf(path)).toEqual([seq, refundSeq]);
      expect(path.complete).toBe(true);
    }
  });

  test('a purchase is found by its id, its request and its reference to a payment', async () => {
    const accountId = await openWithCredits(cluster.a, 100n);
    const call = { ...named(accountId), packId: 'starter' };
    const payment = { $case: 'paymentReference', value: `order-${requestId()}` } as const;
    const { purchase } = await cluster.a.billing.purchase({ ...call, payment });
    const { purchaseId } = defined(purchase);
    for (const id of [
      { $case: 'purchaseId', value: purchaseId },
      { $case: 'requestId', value: call.requestId },
    ] as const) {
      const path = await pathOf(cluster.b, id);
      expect(path.key?.charge).toEqual({ $case: 'purchaseId', value: purchaseId });
      expect(kindsOf(path)).toEqual(['PURCHASE']);
      expect(path.grants).toMatchObject([{ grantId: 2n, sourceReference: purchaseId }]);
      expect(path).toMatchObject({ state: ChargePath_State.ENDED, complete: true });
    }
  });

  test('the entries of any other request are one path', async () => {
    const accountId = `acct-${requestId()}`;
    const call = { accountId, requestId: requestId() };
    await cluster.a.accounts.openAccount({ ...call, planId: 'perfectparser' });
    const path = await pathOf(cluster.b, { $case: 'requestId', value: call.requestId });
    const history = await entriesOf(cluster.a, accountId);
    const ofRequest = history.filter((entry) => entry.requestId === call.requestId);
    expect(kindsOf(path)).toEqual(ofRequest.map(({ kind }) => memberName(Entry_Kind, kind)));
    expect(kindsOf(path)).toEqual(['OPEN_ACCOUNT', 'GRANT']);
    const byEntry = await pathOf(cluster.b, { $case: 'entrySeq', value: 2n }, accountId);
    expect(seqsOf(byEntry)).toEqual([1n, 2n]);
  });
});

describe('An id that several charges have', () => {
  test('as their request id lists them and picks none; with the account it is one', async () => {
    const id = requestId();
    const accounts = [await openWithCredits(cluster.a, 10n), await openWithCredits(cluster.a, 10n)];
    for (const accountId of accounts)
      await cluster.a.billing.charge({ accountId, requestId: id, credits: 1n });
    const by = { $case: 'requestId', value: id } as const;
    const { paths, candidates } = await traceAll(cluster.b, by);
    expect(paths).toEqual([]);
    expect(candidates).toMatchObject(
      accounts.map((accountId) => ({
        key: { accountId, charge: { $case: 'entrySeq' } },
        kind: Entry_Kind.CHARGE,
        caller: 'test',
        credits: 1n,
      })),
    );
    for (const accountId of accounts)
      expect((await pathOf(cluster.b, by, accountId)).key?.accountId).toBe(accountId);
  });

  test('as their reference lists them page by page', async () => {
    const accountId = await openWithCredits(cluster.a, 10n);
    const reference = `job-${requestId()}`;
    const seqs: bigint[] = [];
    for (let count = 0; count < 5; count += 1) {
      const call = { ...named(accountId), credits: 1n, reference };
      seqs.push((await cluster.a.billing.charge(call)).entrySeq);
    }
    const by = { $case: 'reference', value: reference } as const;
    for (const pageSize of [1, 2, 5, 100]) {
      const { candidates } = await traceAll(cluster.b, by, accountId, pageSize);
      expect(candidates.map(({ seq }) => seq)).toEqual(seqs);
    }
  });

  test('as their trace has all paths, of all accounts, page by page', async () => {
    const { traceId, metadata } = newTrace();
    const accounts = await Promise.all([1, 2, 3].map(() => openWithCredits(cluster.a, 10n)));
    const mutations = accounts.flatMap((accountId) =>
      [1, 2].map(() => ({
        mutation: { $case: 'charge' as const, value: { ...named(accountId), credits: 1n } },
      })),
    );
    await cluster.a.billing.batch({ mutations }, { metadata });
    const by = { $case: 'traceId', value: traceId } as const;
    const whole = await traceAll(cluster.b, by);
    expect(whole.paths).toHaveLength(6);
    expect(new Set(whole.paths.map(({ key }) => key?.accountId))).toEqual(new Set(accounts));
    for (const pageSize of [1, 4])
      expect(await traceAll(cluster.b, by, '', pageSize)).toEqual(whole);
    const [accountId = ''] = accounts;
    expect((await traceAll(cluster.b, by, accountId)).paths).toHaveLength(2);
  });

  test('of a page token of another id is refused', async () => {
    const { traceId, metadata } = newTrace();
    const accountId = await openWithCredits(cluster.a, 10n);
    for (const _ of [1, 2])
      await cluster.a.billing.charge({ ...named(accountId), credits: 1n }, { metadata });
    const request = { id: { $case: 'traceId', value: traceId } as const, pageSize: 1 };
    const { nextPageToken: pageToken } = await cluster.a.operator.traceCharge(request);
    expect(pageToken).not.toBe('');
    for (const other of [
      { ...request, accountId },
      { ...request, id: { $case: 'reference', value: 'other' } as const },
    ])
      expect(await errorOf(cluster.a.operator.traceCharge({ ...other, pageToken }))).toMatchObject({
        reason: 'INVALID_FIELD',
        fields: ['page_token'],
      });
  });
});

describe('An id', () => {
  const UNKNOWN = 'ffffffff-ffff-7fff-8fff-ffffffffffff';
  test.each([
    ['no id', undefined, ['id']],
    ['a trace id of zeros', { $case: 'traceId', value: '0'.repeat(32) }, ['trace_id']],
    ['a short trace id', { $case: 'traceId', value: 'abc' }, ['trace_id']],
    ['no UUID', { $case: 'reservationId', value: 'x' }, ['reservation_id']],
    ['no UUID of a purchase', { $case: 'purchaseId', value: "'; --" }, ['purchase_id']],
    ['an empty request id', { $case: 'requestId', value: '' }, ['request_id']],
    ['a long request id', { $case: 'requestId', value: 'x'.repeat(129) }, ['request_id']],
    ['an empty reference', { $case: 'reference', value: '' }, ['reference']],
    ['seq 0', { $case: 'entrySeq', value: 0n }, ['entry_seq', 'account_id']],
    ['an entry without an account', { $case: 'entrySeq', value: 1n }, ['account_id']],
  ] as const)('that is %s is refused', async (_, id, fields) => {
    expect(await errorOf(cluster.a.operator.traceCharge({ ...(id && { id }) }))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: 'INVALID_FIELD',
      fields,
    });
  });

  test.each([
    ['traceId', 'f'.repeat(32), 'trace_id'],
    ['reservationId', UNKNOWN, 'reservation_id'],
    ['purchaseId', UNKNOWN, 'purchase_id'],
    ['requestId', 'nobody', 'request_id'],
    ['reference', "nobody's", 'reference'],
  ] as const)('that no entry has (%s) is not found', async ($case, value, kind) => {
    const accountId = await openWithCredits(cluster.a, 10n);
    const id = { $case, value };
    const error = { code: status.NOT_FOUND, reason: 'CHARGE_NOT_FOUND' };
    const metadata = { kind, id: value };
    expect(await errorOf(cluster.a.operator.traceCharge({ id }))).toMatchObject({
      ...error,
      metadata,
    });
    const within = await errorOf(cluster.a.operator.traceCharge({ id, accountId }));
    expect(within).toMatchObject({ ...error, metadata: { ...metadata, account_id: accountId } });
    const nowhere = await errorOf(cluster.a.operator.traceCharge({ id, accountId: 'nobody' }));
    expect(nowhere).toMatchObject({ reason: 'ACCOUNT_NOT_FOUND' });
  });

  test('may be written in capitals where it is hexadecimal', async () => {
    const accountId = await openWithCredits(cluster.a, 10n);
    const { traceId, metadata } = newTrace();
    await cluster.a.billing.charge({ ...named(accountId), credits: 1n }, { metadata });
    const path = await pathOf(cluster.a, { $case: 'traceId', value: traceId.toUpperCase() });
    expect(foundKinds(path)).toEqual(['CHARGE']);
  });
});

test('a path of more than 1,000 steps says that there are more', async () => {
  const accountId = await openWithCredits(cluster.a, 10_000n);
  const { reservation } = await cluster.a.billing.reserve({ ...named(accountId), credits: 5_000n });
  const { reservationId } = defined(reservation);
  const mutations = Array.from({ length: 1_000 }, () => ({
    mutation: {
      $case: 'commit' as const,
      value: { ...named(accountId), reservationId, credits: 1n, final: false },
    },
  }));
  await cluster.a.billing.batch({ mutations });
  const path = await pathOf(cluster.b, { $case: 'reservationId', value: reservationId });
  expect(path.steps).toHaveLength(1_000);
  expect(path).toMatchObject({ gaps: [ChargePath_Gap.MORE_STEPS], complete: false });
});
