/** Every error reason of the contract, caused through gRPC. */
import '../../src/telemetry/sdk.ts';
import { readFileSync } from 'node:fs';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ChargeRequest } from '../../src/gen/billing/v1/billing_service.ts';
import { BudgetPeriod } from '../../src/gen/billing/v1/budget.ts';
import { ErrorReason } from '../../src/gen/billing/v1/error_reason.ts';
import { Criticality, Purchase_Resolution_Decision } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { DAY, defined, HOUR, MINUTE, openWithCredits, reserveCredits } from '../accounts.ts';
import { archiveLedger, temporaryDirectory } from '../archive/archiving.ts';
import { createAuthority, createTlsDirectory, signServer } from '../authentication/authority.ts';
import { startPoliced } from '../authorization/policed-service.ts';
import {
  blockConnections,
  captureLog,
  exceedDeadline,
  lockAccount,
  waitForBlockedSessions,
} from '../disruptions.ts';
import { CHECKOUT, insertMismatched } from '../payments/given.ts';
import { StripeFake } from '../payments/stripe-fake.ts';
import { execute } from '../postgres.ts';
import { EVERYTHING, planIn } from '../pricing/fixtures.ts';
import { errorIn, errorOf, type RpcError } from '../rpc-error.ts';
import {
  plansOfDeploy,
  requestId,
  startTestService,
  type TestOptions,
  type TestService,
} from '../service.ts';
import { HostClocks } from '../time-sources.ts';
import { documentedErrors } from './error-contract.ts';
import { errorExample } from './error-example.ts';
import { frame, http2ErrorOf } from './http2-call.ts';
import { callRaw } from './raw-call.ts';

let scrip: TestService;
let stripe: StripeFake;
beforeAll(async () => {
  stripe = await new StripeFake().start();
  scrip = await startTestService({ plans: [...(await plansOfDeploy()), planIn(EVERYTHING)] });
});
afterAll(async () => {
  await scrip.stop();
  await stripe.stop();
});

const CHARGE = '/billing.v1.BillingService/Charge';
const HEALTH = '/grpc.health.v1.Health/Check';

const charge = (accountId: string, credits: bigint, service = scrip) =>
  service.billing.charge({ accountId, requestId: requestId(), credits });
const price = async (operation: string, quantities: Record<string, bigint> = {}) => {
  const accountId = await scrip.open('verts');
  return await errorOf(
    scrip.billing.estimate({
      accountId,
      usages: { items: [{ operation, quantities: mapOf(quantities) }] },
    }),
  );
};
const voidRequest = (accountId: string, grantId: bigint, credits: bigint) => {
  const named = { accountId, requestId: requestId(), grantId };
  return { ...named, credits, reason: 'a mistake' };
};
const voidGrant = (...grant: Parameters<typeof voidRequest>) =>
  scrip.accounts.voidGrant(voidRequest(...grant));
const buy = (accountId: string, packId: string) =>
  scrip.billing.purchase({
    accountId,
    requestId: requestId(),
    packId,
    payment: { $case: 'paymentReference', value: 'order' },
  });

const checkout = ({ billing }: TestService, accountId: string) =>
  billing.purchase({ accountId, requestId: requestId(), packId: 'starter', payment: CHECKOUT });

/** Ends a reservation, then makes a call that fails because of that. */
async function callAfterEnd(how: 'commit' | 'release' | 'expiry'): Promise<RpcError> {
  const accountId = await openWithCredits(scrip, 100n);
  const reservationId = await reserveCredits(scrip, accountId, 10n);
  const named = () => ({ accountId, requestId: requestId(), reservationId });
  const commit = () => scrip.billing.commit({ ...named(), all: true });
  const release = () => scrip.billing.release(named());
  if (how === 'expiry') scrip.advance(30 * MINUTE);
  else await (how === 'commit' ? commit() : release());
  return await errorOf(how === 'commit' ? release() : commit());
}

/** An error from a service of its own, which is stopped afterwards. */
async function withOwnService(
  env: Record<string, string>,
  cause: (own: TestService, accountId: string) => Promise<RpcError>,
  options: TestOptions = {},
): Promise<RpcError> {
  const own = await startTestService({ env, ...options });
  try {
    return await cause(own, await openWithCredits(own, 100n));
  } finally {
    await own.stop();
  }
}

/** The error of a service without ARCHIVE_DIRECTORY, on an account whose charge is archived. */
const withArchived = (
  cause: (own: TestService, charged: ChargeRequest, seq: bigint) => Promise<unknown>,
): Promise<RpcError> =>
  withOwnService(
    {},
    async (own, accountId) => {
      const request = ChargeRequest.fromPartial({ accountId, requestId: requestId(), credits: 1n });
      const { entrySeq } = await own.billing.charge(request);
      own.advance(40 * DAY);
      await archiveLedger(own, temporaryDirectory(), '2024-02');
      return await errorOf(cause(own, request, entrySeq));
    },
    { frozenAt: Date.UTC(2024, 0, 10) },
  );

/** The error of a caller with this rule after it has charged a credit, which the rule allows. */
async function withPolicy(rule: string): Promise<RpcError> {
  const own = await startPoliced(`  - { id: header:renderer, roles: [product-service], ${rule} }`, {
    frozenAt: Date.UTC(2031, 4, 10, 12),
  });
  const accountId = await openWithCredits(own, 100n);
  const charged = (credits: bigint) =>
    own.as('renderer').billing.charge({ accountId, requestId: requestId(), credits });
  await charged(1n);
  const error = await errorOf(charged(2n));
  await own.stop();
  return error;
}

/** The error of erasing the data of an account. */
async function erasing(accountId: string, { closed = false } = {}): Promise<RpcError> {
  const named = () => ({ accountId, requestId: requestId() });
  if (closed) await scrip.accounts.closeAccount(named());
  return await errorOf(scrip.accounts.eraseAccountData({ ...named(), reason: 'a request' }));
}

type Reason = Exclude<keyof typeof ErrorReason, 'UNSPECIFIED' | 'UNRECOGNIZED'>;

const causes: Readonly<Record<Reason, () => Promise<RpcError>>> = {
  INVALID_FIELD: () => errorOf(charge('not an id', 1n)),
  UNKNOWN_OPERATION: () => price('image.upscal'),
  MISSING_QUANTITY: () => price('image.upscale'),
  QUANTITY_OUT_OF_RANGE: () => price('image.upscale', { scale_factor: 17n }),
  async REQUEST_ID_REUSED() {
    const request = { accountId: await openWithCredits(scrip, 100n), requestId: requestId() };
    await scrip.billing.charge({ ...request, credits: 1n });
    return await errorOf(scrip.billing.charge({ ...request, credits: 2n }));
  },
  ACCOUNT_NOT_FOUND: () => errorOf(charge('nobody', 1n)),
  async RESERVATION_NOT_FOUND() {
    const accountId = await scrip.open('verts');
    const reservationId = '01900000-0000-7000-8000-000000000000';
    return await errorOf(scrip.billing.getReservation({ accountId, reservationId }));
  },
  GRANT_NOT_FOUND: async () => await errorOf(voidGrant(await scrip.open('verts'), 7n, 5n)),
  async GRANT_ENDED() {
    const accountId = await openWithCredits(scrip, 100n);
    await scrip.accounts.voidGrant(voidRequest(accountId, 1n, 100n));
    return await errorOf(voidGrant(accountId, 1n, 1n));
  },
  async ACCOUNT_SUSPENDED() {
    const accountId = await openWithCredits(scrip, 100n);
    const named = { accountId, requestId: requestId(), reason: 'payment overdue' };
    await scrip.accounts.suspendAccount(named);
    return await errorOf(charge(accountId, 1n));
  },
  async BUDGET_EXCEEDED() {
    const accountId = await openWithCredits(scrip, 100n);
    const budget = {
      budgetId: 'per-user',
      dimension: { $case: 'label', value: 'user' },
      credits: 20n,
      period: BudgetPeriod.DAY,
    } as const;
    const named = { accountId, requestId: requestId(), reason: 'members share the account' };
    await scrip.accounts.setBudget({ ...named, budget });
    const work = { accountId, requestId: requestId(), labels: mapOf({ user: 'ann' }) };
    return await errorOf(scrip.billing.charge({ ...work, credits: 21n }));
  },
  async BUDGET_NOT_FOUND() {
    const accountId = await scrip.open('verts');
    const request = { accountId, requestId: requestId(), budgetId: 'per-user', reason: 'a test' };
    return await errorOf(scrip.accounts.removeBudget(request));
  },
  async GRANT_RESERVED() {
    const accountId = await openWithCredits(scrip, 100n);
    await reserveCredits(scrip, accountId, 40n);
    const named = { accountId, requestId: requestId(), grantId: 1n, reason: 'a mistake' };
    const operations = { onlyFor: { operations: ['image.upscale'] } };
    return await errorOf(scrip.accounts.updateGrant({ ...named, operations }));
  },
  async EXCEEDS_GRANT() {
    const accountId = await openWithCredits(scrip, 100n);
    await reserveCredits(scrip, accountId, 40n);
    return await errorOf(voidGrant(accountId, 1n, 61n));
  },
  PACK_NOT_FOUND: async () => await errorOf(buy(await scrip.open('verts'), 'startr')),
  PLAN_NOT_FOUND: () => errorOf(scrip.plans.getPlan({ planId: 'vert' })),
  CHARGE_NOT_FOUND() {
    const value = '01900000-0000-7000-8000-000000000000';
    return errorOf(scrip.operator.traceCharge({ id: { $case: 'reservationId', value } }));
  },
  async ENTRY_NOT_FOUND() {
    const accountId = await openWithCredits(scrip, 1n);
    return await errorOf(
      scrip.billing.refund({
        reason: 'a test',
        accountId,
        requestId: requestId(),
        seq: 1n,
        all: true,
      }),
    );
  },
  async ACCOUNT_EXISTS() {
    const accountId = await scrip.open('verts');
    const again = { accountId, requestId: requestId(), planId: 'verts' };
    return await errorOf(scrip.accounts.openAccount(again));
  },
  async PAYMENT_REFERENCE_USED() {
    const accountId = await scrip.open('verts');
    await buy(accountId, 'starter');
    return await errorOf(buy(accountId, 'starter'));
  },
  INSUFFICIENT_CREDITS: async () => await errorOf(charge(await openWithCredits(scrip, 1n), 2n)),
  async EXCEEDS_RESERVATION() {
    const accountId = await openWithCredits(scrip, 100n);
    const reservationId = await reserveCredits(scrip, accountId, 1n);
    const request = { accountId, requestId: requestId(), reservationId, credits: 2n };
    return await errorOf(scrip.billing.commit(request));
  },
  async EXCEEDS_COMMIT() {
    const accountId = await openWithCredits(scrip, 100n);
    const { entrySeq: seq } = await charge(accountId, 1n);
    const request = { accountId, requestId: requestId(), seq, credits: 2n };
    return await errorOf(scrip.billing.refund({ ...request, reason: 'a test' }));
  },
  async REQUEST_EXPIRED() {
    const accountId = await openWithCredits(scrip, 100n);
    const request = { accountId, requestId: requestId(), credits: 2n, notAfter: new Date(0) };
    return await errorOf(scrip.billing.charge(request));
  },
  async BATCH_REFUSED() {
    const accountId = await openWithCredits(scrip, 100n);
    const charges = [1n, 200n].map((credits) => {
      const value = { accountId, requestId: requestId(), credits };
      return { mutation: { $case: 'charge' as const, value } };
    });
    const { results } = await scrip.billing.batch({ mutations: charges, atomic: true });
    return errorIn(defined(results[0]));
  },
  RESERVATION_COMMITTED: () => callAfterEnd('commit'),
  RESERVATION_RELEASED: () => callAfterEnd('release'),
  RESERVATION_EXPIRED: () => callAfterEnd('expiry'),
  async ACCOUNT_CLOSED() {
    const accountId = await openWithCredits(scrip, 100n);
    await scrip.accounts.closeAccount({ accountId, requestId: requestId() });
    return await errorOf(charge(accountId, 1n));
  },
  RATE_CARD_VERSION_UNKNOWN: () =>
    errorOf(scrip.plans.getPlan({ planId: 'verts', rateCardVersion: 2n })),
  OVERAGE_LIMIT_REACHED: async () => await errorOf(charge(await scrip.open('everything'), 20_000n)),
  async OVERAGE_RESERVED() {
    const accountId = await scrip.open('everything');
    await reserveCredits(scrip, accountId, 200n);
    const request = { accountId, requestId: requestId(), planId: 'verts' };
    return await errorOf(scrip.accounts.moveAccount({ ...request, reason: 'a test' }));
  },
  async PURCHASE_NOT_FOUND() {
    const accountId = await scrip.open('verts');
    const purchaseId = '01900000-0000-7000-8000-000000000000';
    return await errorOf(scrip.billing.getPurchase({ accountId, purchaseId }));
  },
  async PURCHASE_NOT_MISMATCHED() {
    const accountId = await scrip.open('verts');
    const { purchase } = await buy(accountId, 'starter');
    const { purchaseId = '' } = purchase ?? {};
    const named = { accountId, requestId: requestId(), purchaseId };
    const decision = Purchase_Resolution_Decision.ACCEPTED;
    return await errorOf(scrip.accounts.resolvePurchase({ ...named, decision, reason: 'why' }));
  },
  async ACCOUNT_NOT_CLOSED() {
    return await erasing(await scrip.open('verts'));
  },
  async RESERVATION_ACTIVE() {
    const accountId = await openWithCredits(scrip, 100n);
    await reserveCredits(scrip, accountId, 1n);
    return await erasing(accountId, { closed: true });
  },
  async PURCHASE_UNSETTLED() {
    const accountId = await scrip.open('verts');
    await insertMismatched(scrip, accountId);
    return await erasing(accountId, { closed: true });
  },
  async PACK_EXISTS() {
    const accountId = await scrip.open('verts');
    const pack = {
      packId: 'starter',
      title: 'Another',
      credits: 1n,
      price: { currency: 'USD', amount: '1.00' },
    };
    return await errorOf(scrip.accounts.offerPack({ accountId, requestId: requestId(), pack }));
  },
  CHECKOUT_NOT_CONFIGURED: async () => await errorOf(checkout(scrip, await scrip.open('verts'))),
  CHECKOUT_FAILED: () =>
    withOwnService(stripe.env, async (own, accountId) => {
      stripe.intercept = () => ({
        status: 400,
        body: { error: { type: 'invalid_request_error', code: 'url_invalid', message: 'no' } },
      });
      return await errorOf(checkout(own, accountId));
    }),
  PAYMENT_PROVIDER_UNAVAILABLE: () =>
    withOwnService(stripe.env, async (own, accountId) => {
      stripe.intercept = () => 'hang up';
      return await errorOf(checkout(own, accountId));
    }),
  async DELIVERY_NOT_FOUND() {
    const eventId = '01900000-0000-7000-8000-000000000000';
    return await errorOf(scrip.events.replayDelivery({ accountId: 'nobody', eventId }));
  },
  async PAUSED_BELOW_FLOOR() {
    const accountId = await openWithCredits(scrip, 10n);
    await scrip.accounts.updateAccount({
      accountId,
      requestId: requestId(),
      pauseFloor: { credits: 11n },
    });
    const criticality = Criticality.SHEDDABLE;
    const request = { accountId, requestId: requestId(), credits: 1n, criticality };
    return await errorOf(scrip.billing.charge(request));
  },
  OVERLOADED: () =>
    withOwnService({ QUEUE_MAX: '1' }, async (own, accountId) => {
      const unlock = await lockAccount(own.databaseUrl, accountId);
      const working = charge(accountId, 1n, own);
      await waitForBlockedSessions(own.databaseUrl);
      const error = await errorOf(charge(accountId, 1n, own));
      await unlock();
      await working;
      return error;
    }),
  DATABASE_UNAVAILABLE: () =>
    withOwnService({}, async (own, accountId) => {
      const allowConnections = await blockConnections(own.databaseUrl);
      const error = await errorOf(charge(accountId, 1n, own));
      await allowConnections();
      return error;
    }),
  async CLOCK_UNRELIABLE() {
    const database = { time: Date.now() };
    const host = new HostClocks(database);
    const own = await startTestService({ sources: host.sources });
    const accountId = await openWithCredits(own, 100n);
    host.wall += HOUR;
    database.time += HOUR;
    const error = await errorOf(charge(accountId, 1n, own));
    await own.stop();
    return error;
  },
  SHUTTING_DOWN: () =>
    withOwnService({}, async (own, accountId) => {
      const stream = own.billing.streamHistory({ accountId, follow: true });
      await stream.next();
      const error = errorOf(stream.next());
      await own.service.stop();
      return await error;
    }),
  async CANCELLED() {
    // The caller has gone, so the reason is read from the log.
    const { log, lines } = captureLog('debug');
    // A cached account is decided before its row is locked, so the lock would not hold the decision up.
    const own = await startTestService({ log, env: { ACCOUNT_CACHE_MAX: '0' } });
    const accountId = await openWithCredits(own, 100n);
    const unlock = await lockAccount(own.databaseUrl, accountId);
    const request = { accountId, requestId: requestId(), credits: 1n };
    await exceedDeadline(own, (options) => own.billing.charge(request, options));
    await unlock();
    const line = await vi.waitFor(
      () => {
        const found = lines.find((one) => one['scrip.reason'] === 'CANCELLED');
        return found ?? expect.fail('nothing was logged');
      },
      { timeout: 60_000 },
    );
    await own.stop();
    const code = line['rpc.status_code'] === 'CANCELLED' ? status.CANCELLED : null;
    const reason = String(line['scrip.reason']);
    const nothingElse = { fields: [], retryMs: null, insufficientCredits: null, details: [] };
    return { code: code ?? -1, reason, message: '', metadata: {}, ...nothingElse };
  },
  // A field that the service does not know.
  MESSAGE_UNDECODABLE: () =>
    errorOf(callRaw(scrip, CHARGE, Buffer.from([0xfa, 0xf0, 0x04, 0x01, 0x78]))),
  MESSAGE_TOO_LARGE: () => errorOf(callRaw(scrip, CHARGE, new Uint8Array(4 * 1024 * 1024))),
  METHOD_UNKNOWN: () =>
    errorOf(callRaw(scrip, '/billing.v1.BillingService/Void', new Uint8Array())),
  COMPRESSION_UNSUPPORTED: () =>
    http2ErrorOf(scrip, {
      path: CHARGE,
      headers: { 'grpc-encoding': 'snappy' },
      body: frame(new Uint8Array(1), 1),
    }),
  DEADLINE_EXCEEDED: () =>
    withOwnService({ ACCOUNT_CACHE_MAX: '0' }, async (own, accountId) => {
      const unlock = await lockAccount(own.databaseUrl, accountId);
      const request = ChargeRequest.fromPartial({ accountId, requestId: 'r', credits: 1n });
      const body = frame(ChargeRequest.encode(request).finish());
      const error = await http2ErrorOf(own, {
        path: CHARGE,
        headers: { 'grpc-timeout': '50m' },
        body,
      });
      await unlock();
      return error;
    }),
  SERVICE_UNKNOWN: () =>
    errorOf(callRaw(scrip, HEALTH, Buffer.from([0x0a, 7, ...Buffer.from('billing')]))),
  POSITION_LOST: async () => {
    const accountId = await scrip.open('verts');
    return await errorOf(scrip.billing.streamHistory({ accountId, afterSeq: 9n }).next());
  },
  INSTANT_OUT_OF_RANGE: async () => {
    const accountId = await scrip.open('verts');
    const point = { $case: 'at' as const, value: new Date(0) };
    return await errorOf(scrip.billing.getPastBalance({ accountId, point }));
  },
  async CALLER_UNKNOWN() {
    const authority = await createAuthority();
    const files = await createTlsDirectory(await signServer(authority));
    const own = await startTestService({
      env: files.env,
      client: { tls: { ca: authority.certificate } },
    });
    const error = await errorOf(own.plans.listPlans({}));
    await own.stop();
    await files.remove();
    return error;
  },
  CALLER_NOT_ALLOWED: () => withPolicy('credits: { per_call: 1 }'),
  CALLER_LIMIT_REACHED: () => withPolicy('credits: { per_account_and_day: 2 }'),
  RATE_LIMITED: () => withPolicy('requests_per_second: { rate: 1 }'),
  MONTH_NOT_RUNNING: () =>
    errorOf(
      scrip.accounts.importAccount({
        accountId: 'imported-late',
        requestId: requestId(),
        planId: 'aspose-cloud',
        openedAt: new Date(0),
        month: { month: '2020-01', overage: 5n },
        system: 'billing-v1',
      }),
    ),
  LATE_USAGE_NOT_ALLOWED: async () => {
    const accountId = await scrip.open('verts');
    return await errorOf(
      scrip.billing.charge({
        accountId,
        requestId: requestId(),
        credits: 1n,
        usedAt: new Date(Date.now() - 3_600_000),
      }),
    );
  },
  REQUEST_ARCHIVED: () => withArchived((own, request) => own.billing.charge(request)),
  ENTRY_ARCHIVED: () =>
    withArchived((own, { accountId }, seq) =>
      own.billing.refund({ accountId, requestId: requestId(), seq, all: true, reason: 'late' }),
    ),
  ARCHIVE_UNAVAILABLE: () =>
    withArchived((own, { accountId }) => own.billing.listEntries({ accountId, beforeSeq: 3n })),
  INTERNAL: () =>
    withOwnService({}, async (own, accountId) => {
      await execute(own.databaseUrl, 'alter table entries rename to entries_elsewhere');
      return await errorOf(charge(accountId, 1n, own));
    }),
};

const documented = documentedErrors();
/** By their reasons, as docs/errors.md shows them. */
const examples = new Map<string, string>();

test('every reason of the contract is tested here', () => {
  const reasons = Object.keys(ErrorReason).filter(
    (name) => !/^UN(SPECIFIED|RECOGNIZED)$/.test(name),
  );
  expect(documented.map(({ reason }) => reason).toSorted()).toEqual(reasons.toSorted());
  expect(Object.keys(causes).toSorted()).toEqual(reasons.toSorted());
});

const WITH_FIELDS: readonly string[] = [
  'INVALID_FIELD',
  'UNKNOWN_OPERATION',
  'MISSING_QUANTITY',
  'QUANTITY_OUT_OF_RANGE',
  'MESSAGE_UNDECODABLE',
  'MONTH_NOT_RUNNING',
  'LATE_USAGE_NOT_ALLOWED',
];
const WITH_RETRY: readonly string[] = [
  'OVERLOADED',
  'DATABASE_UNAVAILABLE',
  'CLOCK_UNRELIABLE',
  'SHUTTING_DOWN',
  'PAYMENT_PROVIDER_UNAVAILABLE',
  'ARCHIVE_UNAVAILABLE',
  'RATE_LIMITED',
];

describe.each(documented)('$reason', ({ reason, codes, metadata, retryInfo }) => {
  test('has the status, the metadata and the details that the contract documents', async () => {
    const [, cause] = Object.entries(causes).find(([name]) => name === reason) ?? [];
    const error = cause ? await cause() : expect.fail('it is not tested');
    expect(error.reason).toBe(reason);
    examples.set(reason, errorExample(error));
    expect(codes).toContain(error.code);
    expect(Object.keys(error.metadata)).toEqual(expect.arrayContaining([...metadata]));
    expect(error.fields.length > 0).toBe(WITH_FIELDS.includes(reason));
    if (retryInfo) expect(error.retryMs).toBeGreaterThan(0);
    expect(error.retryMs !== null).toBe(WITH_RETRY.includes(reason));
    // The metadata has every dynamic value of the message, such as numbers and ids.
    if (reason !== 'INVALID_FIELD')
      for (const [value] of error.message.matchAll(/\d[\d-]*\d|\d/g))
        expect(Object.values(error.metadata).join(' ')).toContain(value);
  });
});

test('docs/errors.md shows every error as a client sees it: run this file with -u to write it', async () => {
  const heading = '## Examples\n';
  const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  const shown = documented.map(({ reason }) => `### ${reason}\n\n${examples.get(reason)}\n`);
  const before = page.slice(0, page.indexOf(heading) + heading.length);
  await expect(`${before}\n${shown.join('\n')}`).toMatchFileSnapshot('../../docs/errors.md');
});
