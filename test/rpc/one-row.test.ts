/** Every call that changes something writes one row with its request, and one that changes nothing writes none. */
import '../../src/telemetry/sdk.ts';
import { randomBytes } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Scrip, ScripCallOptions } from '../../src/client.ts';
import { AccountServiceService } from '../../src/gen/billing/v1/account_service.ts';
import { BillingServiceService } from '../../src/gen/billing/v1/billing_service.ts';
import {
  Purchase_Resolution_Decision as Decision,
  Entry_Kind,
  type Replay,
} from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import {
  defined,
  entriesOf,
  INSPECT,
  MINUTE,
  openWithCredits,
  reserveCredits,
  storedRows,
} from '../accounts.ts';
import { insertMismatched } from '../payments/given.ts';
import { StripeFake } from '../payments/stripe-fake.ts';
import { execute } from '../postgres.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { TABLES } from '../store/owner-session.ts';
import { checkout, closeAccount, mutatingRpcs, rejectPurchase } from './mutations.ts';
import { callRaw } from './raw-call.ts';

let stripe: StripeFake;
let scrip: TestService;
/** Another replica on the same database. */
let twin: TestService;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  // A due top-up stays due.
  const env = { ...stripe.env, TOP_UP_INTERVAL_MS: '3600000' };
  scrip = await startTestService({ env });
  twin = await startTestService({ env, databaseUrl: scrip.databaseUrl });
  stripe.clock = scrip.now;
});
afterAll(async () => {
  await twin.stop();
  await scrip.stop();
  await stripe.stop();
});

const methods = [...Object.values(BillingServiceService), ...Object.values(AccountServiceService)];
const methodOf = (path: string) => path.slice(path.lastIndexOf('/') + 1);

/** The entry_seq of an encoded response. */
function entrySeqIn(path: string, bytes: Buffer): bigint {
  const response = methods.find((method) => method.path === path)?.responseDeserialize(bytes);
  return (response as { readonly entrySeq: bigint }).entrySeq;
}

const {
  OPEN_ACCOUNT,
  UPDATE_ACCOUNT,
  CLOSE_ACCOUNT,
  ERASE_ACCOUNT_DATA,
  PLAN_CHANGE,
  GRANT,
  OFFER_PACK,
  WITHDRAW_PACK,
  PURCHASE,
  CHECKOUT,
  REJECT_PURCHASE,
  RESERVE,
  RAISE,
  EXTEND,
  COMMIT,
  RELEASE,
  CHARGE,
  REFUND,
  VOID_GRANT,
  UPDATE_GRANT,
  SUSPEND_ACCOUNT,
  RESUME_ACCOUNT,
  SET_BUDGET,
  REMOVE_BUDGET,
  IMPORT,
} = Entry_Kind;

/** The kinds of the entries that the call of a pair in mutations.ts writes. */
const KINDS: Readonly<Record<string, readonly Entry_Kind[]>> = {
  OpenAccount: [OPEN_ACCOUNT, GRANT],
  ImportAccount: [OPEN_ACCOUNT, IMPORT],
  SetShadowMode: [UPDATE_ACCOUNT],
  UpdateAccount: [UPDATE_ACCOUNT],
  MoveAccount: [PLAN_CHANGE],
  EraseAccountData: [ERASE_ACCOUNT_DATA],
  GrantCredits: [GRANT],
  VoidGrant: [VOID_GRANT],
  UpdateGrant: [UPDATE_GRANT],
  SuspendAccount: [SUSPEND_ACCOUNT],
  ResumeAccount: [RESUME_ACCOUNT],
  SetBudget: [SET_BUDGET],
  RemoveBudget: [REMOVE_BUDGET],
  OfferPack: [OFFER_PACK],
  WithdrawPack: [WITHDRAW_PACK],
  Purchase: [PURCHASE],
  ResolvePurchase: [PURCHASE],
  Reserve: [RESERVE],
  RaiseReservation: [RAISE],
  ExtendReservation: [EXTEND],
  Commit: [COMMIT],
  Release: [RELEASE],
  Charge: [CHARGE],
  Refund: [REFUND],
};

const all = [
  ...mutatingRpcs.map((rpc) => ({ ...rpc, kinds: defined(KINDS[methodOf(rpc.path)]) })),
  { ...closeAccount, kinds: [CLOSE_ACCOUNT] },
  { ...checkout, kinds: [CHECKOUT] },
  { ...rejectPurchase, kinds: [REJECT_PURCHASE] },
];

describe.each(all)('$path, which writes $kinds', ({ path, pair, kinds }) => {
  const id = requestId();
  const traceId = randomBytes(16).toString('hex');
  let accountId: string;
  let before: bigint;
  let entrySeq: bigint;
  beforeAll(async () => {
    const prepared = await pair(scrip, id);
    accountId = prepared.accountId;
    before = (await entriesOf(scrip, accountId).catch(() => [])).at(-1)?.seq ?? 0n;
    const metadata = new Metadata();
    metadata.set('x-caller', 'auditor');
    metadata.set('traceparent', `00-${traceId}-0123456789abcdef-01`);
    const { bytes } = await callRaw(scrip, path, prepared.request, {}, metadata);
    entrySeq = entrySeqIn(path, bytes);
  });

  test('adds these entries, of which the response names the first, with who called in which trace', async () => {
    const added = await entriesOf(scrip, accountId, { afterSeq: before });
    expect(added.map(({ kind }) => kind)).toEqual(kinds);
    expect(added[0]?.seq).toBe(entrySeq);
    for (const entry of added)
      expect(entry).toMatchObject({
        caller: 'auditor',
        requestId: id,
        traceId,
        spanId: expect.stringMatching(/^(?!0{16}|0123456789abcdef)[0-9a-f]{16}$/),
      });
    expect(new Set(added.map(({ spanId }) => spanId)).size).toBe(1);
  });

  test('has one row with the request, in the first of its entries', async () => {
    const rows = await execute(
      scrip.databaseUrl,
      `select seq::int, method, request_id, trace_id, caller from history
       where account_id = $1 and seq > $2 order by seq`,
      [accountId, before],
    );
    expect(rows).toEqual(
      kinds.map((_, index) => ({
        seq: Number(entrySeq) + index,
        method: index === 0 ? methodOf(path) : null,
        request_id: id,
        trace_id: traceId,
        caller: 'auditor',
      })),
    );
  });

  test('is in a history without gaps, and a filter by kind passes over it', async () => {
    const entries = await entriesOf(scrip, accountId);
    expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, index) => BigInt(index + 1)));
    for (const kind of kinds) {
      const others = Object.values(Entry_Kind).filter(
        (other) => other !== kind && other !== Entry_Kind.UNSPECIFIED,
      );
      const seen: bigint[] = [];
      let next = 0n;
      const filter = { accountId, kinds: others };
      for await (const page of scrip.billing.streamHistory(filter)) {
        seen.push(...page.entries.map(({ seq }) => seq));
        next = page.nextAfterSeq;
      }
      expect(seen).toEqual(entries.filter((entry) => entry.kind !== kind).map(({ seq }) => seq));
      expect(next).toBe(BigInt(entries.length));
      const alone = await entriesOf(scrip, accountId, { kinds: [kind] });
      expect(alone).toEqual(entries.filter((entry) => entry.kind === kind));
    }
  });
});

/** A call that changes nothing, with its request id as an argument. */
type NoChange = (
  service: Scrip,
  id: { readonly accountId: string; readonly requestId: string },
  options: ScripCallOptions,
) => Promise<{ readonly entrySeq: bigint; readonly replay?: Replay | undefined }>;

type Given = (accountId: string) => Promise<NoChange> | NoChange;
const named = (accountId: string) => ({ accountId, requestId: requestId() });

async function endedBy(accountId: string, credits: bigint, end: 'commit' | 'release') {
  const reservationId = await reserveCredits(scrip, accountId, credits);
  const request = { ...named(accountId), reservationId };
  await (end === 'commit'
    ? scrip.billing.commit({ ...request, credits: credits / 2n })
    : scrip.billing.release(request));
  return reservationId;
}

async function decided(accountId: string, decision: Decision) {
  const purchaseId = await insertMismatched(scrip, accountId);
  const request = { purchaseId, decision, reason: 'first' };
  await scrip.accounts.resolvePurchase({ ...named(accountId), ...request });
  return { ...request, reason: 'second' };
}

/** Every setting of an account. */
const SETTINGS = {
  displayName: 'Anna',
  labels: { labels: mapOf({ a: '1', b: '2' }) },
  lowBalanceLevels: { own: { levels: [{ credits: 7n }, { percent: 20 }] } },
  pauseFloor: { credits: 3n },
  autoTopUp: {
    autoTopUp: {
      packId: 'starter',
      threshold: 1n,
      monthlyCap: 1,
      customer: 'cus_1',
      paymentMethod: 'pm_1',
      coolDown: { seconds: 3_600n, nanos: 0 },
    },
  },
};

const unchanging: readonly (readonly [what: string, given: Given])[] = [
  [
    'Commit of what a reservation was committed for',
    async (accountId) => {
      const reservationId = await endedBy(accountId, 10n, 'commit');
      return ({ billing }, id, options) =>
        billing.commit({ ...id, reservationId, credits: 5n }, options);
    },
  ],
  [
    'Commit of the same usages',
    async (accountId) => {
      const reservationId = await reserveCredits(scrip, accountId, 10n);
      const commit = { reservationId, usages: { items: [INSPECT] } };
      await scrip.billing.commit({ ...named(accountId), ...commit });
      return ({ billing }, id, options) => billing.commit({ ...id, ...commit }, options);
    },
  ],
  [
    'Commit of all, where nothing was returned',
    async (accountId) => {
      const reservationId = await reserveCredits(scrip, accountId, 10n);
      await scrip.billing.commit({ ...named(accountId), reservationId, credits: 10n });
      return ({ billing }, id, options) =>
        billing.commit({ ...id, reservationId, all: true }, options);
    },
  ],
  [
    'Release of a released reservation',
    async (accountId) => {
      const reservationId = await endedBy(accountId, 10n, 'release');
      return ({ billing }, id, options) => billing.release({ ...id, reservationId }, options);
    },
  ],
  [
    'Release of a reservation that expired before the grace period',
    async (accountId) => {
      const reservationId = await reserveCredits(scrip, accountId, 10n);
      for (const service of [scrip, twin]) service.advance(60 * MINUTE);
      await scrip.service.sweep();
      return ({ billing }, id, options) => billing.release({ ...id, reservationId }, options);
    },
  ],
  [
    'ExtendReservation to an earlier expiry',
    async (accountId) => {
      const reservationId = await reserveCredits(scrip, accountId, 10n);
      const ttl = { seconds: 1n, nanos: 0 };
      return ({ billing }, id, options) =>
        billing.extendReservation({ ...id, reservationId, ttl }, options);
    },
  ],
  [
    'MoveAccount to the plan it is on',
    () =>
      ({ accounts }, id, options) =>
        accounts.moveAccount(
          { reason: 'a test', ...id, planId: 'verts', reference: 'again' },
          options,
        ),
  ],
  [
    'CloseAccount of a closed account',
    async (accountId) => {
      await scrip.accounts.closeAccount(named(accountId));
      return ({ accounts }, id, options) => accounts.closeAccount(id, options);
    },
  ],
  [
    'UpdateAccount without any field',
    () =>
      ({ accounts }, id, options) =>
        accounts.updateAccount(id, options),
  ],
  [
    'UpdateAccount with the settings there are, its labels in another order',
    async (accountId) => {
      await scrip.accounts.updateAccount({ ...named(accountId), ...SETTINGS });
      const labels = { labels: mapOf({ b: '2', a: '1' }) };
      return ({ accounts }, id, options) =>
        accounts.updateAccount({ ...id, ...SETTINGS, labels }, options);
    },
  ],
  [
    'UpdateAccount with the auto top-up there is, while one is due',
    async (accountId) => {
      const { autoTopUp } = SETTINGS.autoTopUp;
      const due = { autoTopUp: { autoTopUp: { ...autoTopUp, monthlyCap: 5, threshold: 500n } } };
      await scrip.accounts.updateAccount({ ...named(accountId), ...due });
      return ({ accounts }, id, options) => accounts.updateAccount({ ...id, ...due }, options);
    },
  ],
  [
    'UpdateAccount that switches off what is off',
    () =>
      ({ accounts }, id, options) =>
        accounts.updateAccount(
          { ...id, lowBalanceLevels: {}, pauseFloor: {}, autoTopUp: {} },
          options,
        ),
  ],
  [
    'WithdrawPack of a withdrawn pack',
    async (accountId) => {
      const price = { currency: 'USD', amount: '1.00' };
      const pack = { packId: 'own', title: 'Own', credits: 5n, price };
      await scrip.accounts.offerPack({ ...named(accountId), pack });
      await scrip.accounts.withdrawPack({ ...named(accountId), packId: 'own' });
      return ({ accounts }, id, options) =>
        accounts.withdrawPack({ ...id, packId: 'own' }, options);
    },
  ],
  ...(['ACCEPTED', 'REJECTED'] as const).map(
    (decision) =>
      [
        `ResolvePurchase of a purchase that was ${decision}`,
        async (accountId: string) => {
          const again = await decided(accountId, Decision[decision]);
          return ({ accounts }, id, options) =>
            accounts.resolvePurchase({ ...id, ...again }, options);
        },
      ] as const satisfies readonly [string, Given],
  ),
];

describe.each(unchanging)('%s', (_, given) => {
  test('is answered, adds no row to any table, and is not remembered', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const call = await given(accountId);
    const before = [await rowsOfEachTable(), await storedRows(scrip, accountId)];
    const id = named(accountId);
    const answers = [];
    for (const service of [scrip, twin, scrip]) {
      let marks: unknown;
      const onTrailers = (trailers: Metadata) => {
        marks = trailers.get('idempotent-replayed');
      };
      answers.push(await call(service, id, { onTrailers }));
      expect(marks).toEqual([]);
    }
    for (const { entrySeq, replay } of answers) {
      expect(entrySeq).toBe(0n);
      expect(replay).toBeUndefined();
    }
    expect([await rowsOfEachTable(), await storedRows(scrip, accountId)]).toEqual(before);
  });
});

/** The number of rows of every table of the database. */
async function rowsOfEachTable() {
  const tables = await execute(scrip.databaseUrl, TABLES);
  const counts = tables.map(
    ({ table_name: name }) => `select '${name}' as from_table, count(*)::int as rows from ${name}`,
  );
  expect(counts.length).toBeGreaterThan(10);
  return await execute(scrip.databaseUrl, counts.join(' union all '));
}

test('the request id of a call that changed nothing can be used for one that does', async () => {
  const accountId = await openWithCredits(scrip, 100n);
  const reservationId = await reserveCredits(scrip, accountId, 10n);
  const request = { accountId, requestId: requestId(), reservationId };
  const extend = (seconds: bigint) =>
    scrip.billing.extendReservation({ ...request, ttl: { seconds, nanos: 0 } });
  expect((await extend(1n)).entrySeq).toBe(0n);
  expect((await extend(7_200n)).entrySeq).toBe(4n);
  expect(await extend(7_200n)).toMatchObject({ entrySeq: 4n, replay: {} });
  await expect(extend(1n)).rejects.toMatchObject({ reason: 'REQUEST_ID_REUSED' });
});
