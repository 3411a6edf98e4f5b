/** The views spell what the service wrote. */
import '../../src/telemetry/sdk.ts';
import { Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry_Kind, OverCommitPolicy } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { KIND_CODES, METHOD_CODES } from '../../src/store/tables/codes.ts';
import { verify } from '../../src/verify/verify.ts';
import { DAY, defined, entriesOf, grant, MINUTE, UPSCALE } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { EVERYTHING, planIn } from '../pricing/fixtures.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const traced = new Metadata();
traced.set('traceparent', `00-${TRACE_ID}-b7ad6b7169203331-01`);
traced.set('x-on-behalf-of', 'user:jo');

let scrip: TestService;
beforeAll(async () => {
  const plans = [...(await plansOfDeploy()), planIn(EVERYTHING)];
  scrip = await startTestService({ plans, frozenAt: NOW });
});
afterAll(() => scrip.stop());

/** Columns of a view's rows of an account, in order. */
async function select(view: string, columns: string, accountId: string) {
  const rows = await execute(
    scrip.databaseUrl,
    `select ${columns} from ${view} where account_id = $1 order by ${view === 'running_reservations' ? 'entry_seq' : 'seq'}`,
    [accountId],
  );
  return rows.map((row) => Object.values(row));
}

describe('a history', () => {
  test('names kinds, methods, request ids, callers and balances', async () => {
    const accountId = `acct-${requestId()}`;
    const [uuid, sixteen, other] = [requestId(), 'sixteen bytes...', 'job 7'];
    await scrip.accounts.openAccount({ accountId, requestId: uuid, planId: 'everything' });
    const { reservation } = await scrip.billing.reserve({
      accountId,
      requestId: sixteen,
      credits: 90n,
      overCommitPolicy: OverCommitPolicy.DRAW,
    });
    const { reservationId } = defined(reservation);
    await scrip.billing.commit({ accountId, requestId: other, reservationId, credits: 95n });
    const { entrySeq } = await scrip.billing.refund({
      reason: 'a test',
      accountId,
      requestId: other,
      seq: 5n,
      credits: 10n,
    });
    expect(entrySeq).toBe(6n);
    const columns =
      'seq, kind, method, request_id, caller, credits, remaining_after, reserved_after, overage_after, ' +
      'grant_id, refunded_seq, plan_id, plan_version, rate_card_version';
    expect(await select('history', columns, accountId)).toEqual(
      [
        [1, 'OPEN_ACCOUNT', 'OpenAccount', uuid, 0, 0, 0, 0, null, null, null],
        [2, 'GRANT', null, uuid, 30, 30, 0, 0, 1, null, null],
        [3, 'GRANT', null, uuid, 50, 80, 0, 0, 2, null, null],
        [4, 'RESERVE', 'Reserve', sixteen, 90, 80, 90, 0, null, null, 1],
        [5, 'COMMIT', 'Commit', other, 95, 0, 0, 15, null, null, 1],
        [6, 'REFUND', 'Refund', other, 10, 0, 0, 5, null, 5, 1],
      ].map(([seq, kind, method, id, ...numbers]) => {
        const asText = (value: unknown) => (value === null ? null : `${value}`);
        const [credits, remaining, reserved, overage, grantId, refunded, version] = numbers;
        return [
          ...[`${seq}`, kind, method, id, 'test'],
          ...[credits, remaining, reserved, overage, grantId, refunded].map(asText),
          ...['everything', 1, version],
        ];
      }),
    );
  });

  test('has no request id for what the service does by itself', async () => {
    const accountId = await scrip.open('everything');
    const before = scrip.now();
    scrip.advance(11 * DAY);
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 0n });
    scrip.setNow(before);
    const columns = 'kind, method, request_id is null as by_itself, caller';
    expect((await select('history', columns, accountId)).slice(3)).toEqual([
      ['GRANT_EXPIRED', null, true, 'scrip'],
      ['GRANT', null, true, 'scrip'],
      ['CHARGE', 'Charge', false, 'test'],
    ]);
  });

  test('has references, labels, traces and what was asked for', async () => {
    const accountId = await scrip.open('verts');
    await grant(scrip, accountId, 100n);
    const { reservation } = await scrip.billing.reserve(
      {
        accountId,
        requestId: requestId(),
        credits: 20n,
        ttl: { seconds: 600n, nanos: 0 },
        overCommitPolicy: OverCommitPolicy.CAP,
        reference: 'job 7',
        labels: mapOf({ team: 'images' }),
      },
      { metadata: traced },
    );
    const { reservationId } = defined(reservation);
    await scrip.billing.extendReservation({
      accountId,
      requestId: requestId(),
      reservationId,
      ttl: { seconds: 1_200n, nanos: 0 },
    });
    const commit = { accountId, reservationId };
    await scrip.billing.commit({ ...commit, requestId: requestId(), credits: 5n, final: false });
    await scrip.billing.commit({ ...commit, requestId: requestId(), credits: 40n });
    await scrip.accounts.updateAccount({
      accountId,
      requestId: requestId(),
      displayName: 'Jo Doe',
      labels: { labels: mapOf({ region: 'eu' }) },
    });
    const columns =
      'kind, reference, labels, personal, on_behalf_of, ' +
      'late, final, asked, expires_at, over_commit_policy, details, erased';
    const labels = { team: 'images' };
    const of = [labels, { labels }, null] as const;
    const ofJo = [labels, { labels, on_behalf_of: 'user:jo' }, 'user:jo'] as const;
    const why = { reason: 'a test' };
    const granted = {
      source: 'OPERATOR',
      category: 'PAID',
      priority: '50',
      effective_at: new Date(NOW).toISOString(),
      expires_at: 'never',
    };
    expect(await select('history', columns, accountId)).toEqual([
      ['OPEN_ACCOUNT', null, null, null, null, false, null, null, null, null, null, false],
      ['GRANT', null, null, why, null, false, null, null, null, null, granted, false],
      ['RESERVE', 'job 7', ...ofJo, false, null, null, new Date(NOW + 600_000), 'CAP', null, false],
      ['EXTEND', 'job 7', ...of, false, null, null, new Date(NOW + 1_200_000), null, null, false],
      ['COMMIT', 'job 7', ...of, false, false, null, null, null, null, false],
      ['COMMIT', 'job 7', ...of, false, true, '40', null, null, null, false],
      [
        'UPDATE_ACCOUNT',
        null,
        { region: 'eu' },
        { display_name: 'Jo Doe', labels: { region: 'eu' } },
        ...[null, false, null, null, null, null, { labels: '1' }, false],
      ],
    ]);
    const found = await execute(
      scrip.databaseUrl,
      `select seq, trace_id, length(span_id) as span_digits from history
       where account_id = $1 and trace_id = $2`,
      [accountId, TRACE_ID],
    );
    expect(found).toEqual([{ seq: '3', trace_id: TRACE_ID, span_digits: 16 }]);
    const byId = 'select seq from entries where account_id = $1 and trace_id = $2';
    expect(await execute(scrip.databaseUrl, byId, [accountId, TRACE_ID])).toEqual([{ seq: '3' }]);
  });

  test('names the certificate that carried the token of a caller', async () => {
    const accountId = await scrip.open('verts');
    expect(await select('history', 'certificate', accountId)).toEqual([[null]]);
    await execute(
      scrip.databaseUrl,
      `update entries set content = '{"c": "cn:gateway"}' where account_id = $1`,
      [accountId],
    );
    expect(await select('history', 'certificate', accountId)).toEqual([['cn:gateway']]);
  });

  test('has a row for every move and every usage', async () => {
    const accountId = await scrip.open('everything');
    const items = [
      { operation: 'job.pages', quantities: mapOf({ pages: 20n }), count: 2n },
      { operation: 'job.format', attributes: mapOf({ format: 'pdf', quality: 'final' }) },
      { operation: 'job.free' },
    ];
    await scrip.billing.charge({ accountId, requestId: requestId(), usages: { items } });
    const moves = 'seq, number, from_bucket, to_bucket, grant_id, credits';
    expect(await select('history_moves', moves, accountId)).toEqual([
      ['2', '1', 'issued', 'available', '1', '30'],
      ['3', '1', 'issued', 'available', '2', '50'],
      ['4', '1', 'available', 'consumed', '2', '50'],
      ['4', '2', 'available', 'consumed', '1', '30'],
      ['4', '3', 'overage', 'consumed', null, '52'],
    ]);
    const usages =
      'seq, number, operation, count, unit_credits, credits, quantities, attributes, billable';
    expect(await select('history_usages', usages, accountId)).toEqual([
      ['4', '1', 'job.pages', '2', '62', '124', { pages: 20 }, {}, true],
      ['4', '2', 'job.format', '1', '8', '8', {}, { format: 'pdf', quality: 'final' }, true],
      ['4', '3', 'job.free', '1', '0', '0', { pages: 1 }, {}, false],
    ]);
  });

  test('has the buckets of reserved overage and of breakage', async () => {
    const accountId = await scrip.open('everything');
    const id = () => ({ accountId, requestId: requestId() });
    const { reservation } = await scrip.billing.reserve({ ...id(), credits: 85n });
    const { reservationId } = defined(reservation);
    await scrip.billing.release({ ...id(), reservationId });
    const moves = 'seq, from_bucket, to_bucket, grant_id, credits';
    expect((await select('history_moves', moves, accountId)).slice(2)).toEqual([
      ['4', 'available', 'reserved', '2', '50'],
      ['4', 'available', 'reserved', '1', '30'],
      ['4', 'overage', 'overage_reserved', null, '5'],
      ['5', 'reserved', 'available', '2', '50'],
      ['5', 'reserved', 'available', '1', '30'],
      ['5', 'overage_reserved', 'overage', null, '5'],
    ]);
  });

  test('has the kinds that StreamHistory says', async () => {
    const accountId = await scrip.open('verts');
    const id = () => ({ accountId, requestId: requestId() });
    await grant(scrip, accountId, 100n, { expiresAt: new Date(NOW + DAY) });
    await scrip.accounts.offerPack({
      ...id(),
      pack: {
        packId: 'own',
        title: 'Own',
        credits: 5n,
        price: { currency: 'USD', amount: '3.00' },
      },
    });
    await scrip.accounts.withdrawPack({ ...id(), packId: 'own' });
    await scrip.billing.charge({ ...id(), usages: { items: [UPSCALE] } });
    await scrip.accounts.moveAccount({ reason: 'a test', ...id(), planId: 'everything' });
    await scrip.accounts.closeAccount(id());
    const nameOf = Object.fromEntries(
      Object.entries(Entry_Kind).map(([name, kind]) => [kind, name]),
    );
    const kinds = (await entriesOf(scrip, accountId)).map(({ kind }) => nameOf[kind]);
    expect(kinds).toHaveLength(7);
    const rows = await select('history', 'kind, plan_id, previous_plan_id, details', accountId);
    expect(rows.map(([kind]) => kind)).toEqual(kinds);
    expect(rows.find(([kind]) => kind === 'PLAN_CHANGE')).toEqual([
      ...['PLAN_CHANGE', 'everything', 'verts', null],
    ]);
    expect(rows.find(([kind]) => kind === 'OFFER_PACK')?.at(-1)).toMatchObject({ pack_id: 'own' });
  });
});

test('every kind and every method has a name in the view', async () => {
  const [row] = await execute(
    scrip.databaseUrl,
    `select pg_get_viewdef('history'::regclass) as definition`,
  );
  const definition = String(row?.['definition']);
  for (const [name, code] of Object.entries({ ...KIND_CODES, ...METHOD_CODES }))
    expect(definition).toContain(`WHEN ${code} THEN '${name}'::text`);
});

describe('running reservations', () => {
  test('are shown until they are committed or released, expired ones after the account is settled', async () => {
    const accountId = await scrip.open('verts');
    const id = () => ({ accountId, requestId: requestId() });
    await grant(scrip, accountId, 100n);
    const reserve = async (reference: string, minutes: bigint) => {
      const ttl = { seconds: minutes * 60n, nanos: 0 };
      const labels = mapOf({ team: 'images' });
      const made = await scrip.billing.reserve({ ...id(), credits: 10n, ttl, reference, labels });
      return defined(made.reservation).reservationId;
    };
    const [running, expiring, committed, released] = [
      await reserve('running', 60n),
      await reserve('expiring', 1n),
      await reserve('committed', 60n),
      await reserve('released', 60n),
    ];
    await scrip.billing.commit({ ...id(), reservationId: running, credits: 4n, final: false });
    await scrip.billing.commit({ ...id(), reservationId: committed, all: true });
    await scrip.billing.release({ ...id(), reservationId: released });
    const before = scrip.now();
    scrip.advance(2 * MINUTE);
    await scrip.billing.charge({ ...id(), credits: 1n });
    scrip.setNow(before);
    const columns =
      'reservation_id, state, credits, committed, returned, allocations, expired_allocations, ' +
      'over_commit_policy, plan_id, rate_card_version, caller, reference, labels, entry_seq, expires_at';
    const common = ['REJECT', 'verts', 1, 'test'] as const;
    const labels = { team: 'images' };
    expect(await select('running_reservations', columns, accountId)).toEqual([
      ...[
        [running, 'ACTIVE', '10', '4', '0', [[1, 6]], null, ...common, 'running', labels, '3'],
        [expiring, 'EXPIRED', '10', '0', '10', [], [[1, 10]], ...common, 'expiring', labels, '4'],
      ].map((row, index) => [...row, new Date(before + (index === 0 ? 60 : 1) * MINUTE)]),
    ]);
  });
});

describe('erase_entry', () => {
  test('erases the personal data of an entry and its request; the audit still holds', async () => {
    const accountId = await scrip.open('verts');
    await grant(scrip, accountId, 100n);
    const request = {
      accountId,
      requestId: requestId(),
      credits: 3n,
      reference: 'jo@example.com',
      labels: mapOf({ name: 'Jo Doe' }),
    };
    await scrip.billing.charge(request);
    const charges = `select reference, personal, salt, fingerprint, response, erased_hash, credits, content
      from entries where account_id = $1 and seq = 3`;
    const [before] = await execute(scrip.databaseUrl, charges, [accountId]);
    expect(before).toMatchObject({ reference: 'jo@example.com', erased_hash: null });
    await execute(scrip.databaseUrl, 'select erase_entry($1, 3)', [accountId]);
    const [erased] = await execute(scrip.databaseUrl, charges, [accountId]);
    expect(erased).toEqual({
      ...before,
      ...{ reference: null, personal: null, salt: null, fingerprint: null, response: null },
      erased_hash: expect.any(Buffer),
    });
    // A second time it changes nothing: the hash of what was erased stays.
    await execute(scrip.databaseUrl, 'select erase_entry($1, 3)', [accountId]);
    expect(await execute(scrip.databaseUrl, charges, [accountId])).toEqual([erased]);
    expect(await verify(scrip.databaseUrl, { accountId })).toMatchObject({ ok: true });
    const rows = await select('history', 'kind, reference, labels, credits, erased', accountId);
    expect(rows.map((row) => row.at(-1))).toEqual([false, false, true]);
    expect(rows[2]).toEqual(['CHARGE', null, null, '3', true]);
    expect((await entriesOf(scrip, accountId)).at(-1)).toMatchObject({
      credits: 3n,
      reference: '',
    });
    await expect(scrip.billing.charge(request)).rejects.toMatchObject({
      reason: 'REQUEST_ID_REUSED',
    });
  });
});
