/** Every span of docs/telemetry.md, with every attribute that it may have, comes out of a real process. */
import { randomBytes, randomUUID } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import { SPANS, type SpanName } from '../../src/telemetry/spans.ts';
import { defined, INSPECT } from '../accounts.ts';
import {
  cutBlockedUntil,
  cutUntilEnded,
  lockAccount,
  waitForBlockedSessions,
} from '../disruptions.ts';
import { answers, Receiver } from '../events/receiver.ts';
import { CHECKOUT } from '../payments/given.ts';
import { deliver, StripeFake } from '../payments/stripe-fake.ts';
import { createDatabase, execute } from '../postgres.ts';
import { callRaw } from '../rpc/raw-call.ts';
import { requestId } from '../service.ts';
import { attribute, Collector, namesOf, type Span } from './collector.ts';
import { end, type Replica, SOON, startReplica } from './replica.ts';

const OUTAGE = { status: 503, body: { error: { type: 'api_error', message: 'outage' } } };

const receiver = new Receiver();
let collector: Collector;
let stripe: StripeFake;
let databaseUrl: string;
let scrip: Replica;

beforeAll(async () => {
  collector = await new Collector().start();
  stripe = await new StripeFake().start();
  await receiver.open();
  databaseUrl = await createDatabase(inject('postgresUrl'));
  scrip = await startReplica({
    ...collector.env,
    ...stripe.env,
    ...receiver.env,
    DATABASE_URL: databaseUrl,
    EVENTS_WEBHOOK_BACKOFF_MS: '10',
    SWEEP_INTERVAL_MS: '50',
    PURCHASE_CHECK_INTERVAL_MS: '100',
    TOP_UP_INTERVAL_MS: '100',
  });
});
afterAll(async () => {
  await end(scrip);
  collector.stop();
  await stripe.stop();
  await receiver.close();
});

async function open(credits: bigint): Promise<string> {
  const accountId = `acct-${randomUUID()}`;
  await scrip.accounts.openAccount({ accountId, requestId: requestId(), planId: 'verts' });
  await scrip.accounts.grantCredits({
    accountId,
    requestId: requestId(),
    credits,
    category: Grant_Category.PAID,
    reason: 'a test',
  });
  return accountId;
}

const charge = (accountId: string, id = requestId(), metadata = new Metadata()) =>
  scrip.billing.charge({ accountId, requestId: id, credits: 1n }, { metadata });

type TableLock = 'grants in access exclusive' | 'entries in exclusive';

async function lockTable(lock: TableLock): Promise<pg.Client> {
  const locker = new pg.Client(databaseUrl);
  await locker.connect();
  await locker.query(`begin; lock table ${lock} mode`);
  return locker;
}

/** What becomes of a call whose session is cut while it waits to read or write a table. */
async function withoutTable<Result>(lock: TableLock, start: () => Promise<Result>) {
  const locker = await lockTable(lock);
  const result = await cutUntilEnded(databaseUrl, start());
  await locker.end();
  return result;
}

/** What a call of an account whose row is locked ends with, if its session is cut. */
async function whileLocked<Result>(accountId: string, start: () => Promise<Result>) {
  const unlock = await lockAccount(databaseUrl, accountId);
  const result = await cutUntilEnded(databaseUrl, start());
  await unlock();
  return result;
}

/** Calls of every kind. */
async function makeCalls() {
  const accountId = await open(100n);
  const metadata = new Metadata();
  metadata.set('x-on-behalf-of', 'someone');
  const id = requestId();
  await charge(accountId, id, metadata);
  await charge(accountId, id);
  const usages = { items: [INSPECT] };
  await scrip.billing.charge({ accountId, requestId: requestId(), usages });
  const reserve = { accountId, credits: 1n, requestId: requestId() };
  const { reservation } = await scrip.billing.reserve(reserve);
  const { reservationId } = defined(reservation);
  await scrip.billing.commit({ accountId, reservationId, requestId: requestId(), all: true });
  const tooMuch = { accountId, credits: 500n };
  await refused(scrip.billing.charge({ ...tooMuch, requestId: requestId() }));
  const mutations = [{ accountId, credits: 1n }, tooMuch].map((value) => ({
    mutation: { $case: 'charge' as const, value: { ...value, requestId: requestId() } },
  }));
  await scrip.billing.batch({ mutations });
  await mutateInOtherTraces(accountId, id, metadata);
  await refused(callRaw(scrip, '/billing.v1.BillingService/Nothing', Buffer.alloc(0)));
}

/** Mutations of every kind of result, each in the trace of a caller of its own. `id` is a request id of Charge that was used. */
async function mutateInOtherTraces(accountId: string, id: string, metadata: Metadata) {
  const charges = [
    { accountId, requestId: id, credits: 1n },
    { accountId, requestId: requestId(), usages: { items: [INSPECT] } },
    { accountId, requestId: requestId(), credits: 500n },
  ].map((value) => inOtherTrace({ $case: 'charge', value }));
  const reserve = inOtherTrace({
    $case: 'reserve',
    value: { accountId, requestId: requestId(), credits: 1n },
  });
  const payment = { $case: 'paymentReference', value: randomUUID() } as const;
  const purchase = inOtherTrace({
    $case: 'purchase',
    value: { accountId, requestId: requestId(), packId: 'starter', payment },
  });
  await scrip.billing.batch({ mutations: [...charges, reserve, purchase] }, { metadata });
}

type Mutation = NonNullable<Parameters<Replica['billing']['batch']>[0]['mutations']>[number];

const inOtherTrace = (mutation: NonNullable<Mutation['mutation']>): Mutation => ({
  mutation,
  traceparent: `00-${randomBytes(16).toString('hex')}-${'b'.repeat(16)}-01`,
});

const updateInOtherTrace = (accountId: string) =>
  scrip.billing.batch({
    mutations: [inOtherTrace({ $case: 'updateAccount', value: newLabels(accountId) })],
  });

const refused = (call: Promise<unknown>) =>
  call.then(
    () => expect.unreachable(),
    () => {},
  );

/** A unit of work is deferred, one runs again, and one fails at each of its batches. */
async function disturbUnits() {
  const [held, first, second] = [await open(10n), await open(10n), await open(10n)];
  const unlockHeld = await lockAccount(databaseUrl, held);
  const unlock = await lockAccount(databaseUrl, first);
  // An update is not decided on a cached account, so that the account is locked.
  const running = update(held);
  await waitForBlockedSessions(databaseUrl);
  // Both are queued behind it, and become one unit of work that leaves the locked account for later.
  const waiting = Promise.all([update(first), updateInOtherTrace(first), update(second)]);
  await scrip.plans.listPlans({});
  await unlockHeld();
  await running;
  await waitForBlockedSessions(databaseUrl);
  await unlock();
  await waiting;

  await charge(second);
  const bump = 'update accounts set version = version + 1 where account_id = $1';
  await execute(databaseUrl, bump, [second]);
  await charge(second);

  await whileLocked(first, () => Promise.all([refused(update(first)), updateInOtherTrace(first)]));
  await withoutTable('entries in exclusive', () => refused(update(second)));
}

const newLabels = (accountId: string) => ({
  accountId,
  requestId: requestId(),
  labels: { labels: mapOf({ [randomUUID()]: 'x' }) },
});

const update = (accountId: string) => scrip.accounts.updateAccount(newLabels(accountId));

const hasFailed = (name: string) =>
  collector.named(name).some((span) => attribute(span, 'error.type') !== undefined);

/** What the service does by itself, once with success and once without. */
async function sweepAndClose() {
  const due = {
    due_at: 'sweep',
    statement_due_at: 'close statements',
  } as const;
  for (const [column, name] of Object.entries(due)) {
    const accountId = await open(1n);
    // A reservation and a month are due later than a test can wait for.
    const sql = `update accounts set ${column} = date_trunc('month', now()) where account_id = $1`;
    const locker = await lockTable('grants in access exclusive');
    await execute(databaseUrl, sql, [accountId]);
    await cutBlockedUntil(databaseUrl, () => hasFailed(name));
    await locker.end();
    await collector.find(name, (span) => attribute(span, 'scrip.accounts.done') === 1);
  }
}

/** A purchase by checkout, whose payment a webhook reports, and a top-up; each fails first. */
async function pay() {
  const accountId = await open(10n);
  stripe.intercept = () => OUTAGE;
  const buy = { accountId, requestId: requestId(), packId: 'starter', payment: CHECKOUT };
  await refused(scrip.billing.purchase(buy));
  await collector.find('check purchase', (span) => attribute(span, 'error.type') !== undefined);
  stripe.intercept = () => undefined;
  const { purchase } = await scrip.billing.purchase(buy);
  const { purchaseId } = defined(purchase);
  await collector.find('check purchase', (span) => (span.links ?? []).length > 0);
  const session = stripe.sessionOf(purchaseId);
  stripe.pay(session.id);
  stripe.intercept = () => OUTAGE;
  const paid = stripe.event('checkout.session.completed', session);
  expect(await deliver(scrip.webhookPort, paid)).toBe(503);
  const autoTopUp = {
    packId: 'starter',
    threshold: 500n,
    coolDown: { seconds: 3_600n, nanos: 0 },
    monthlyCap: 3,
    customer: 'cus_1',
    paymentMethod: 'pm_1',
  };
  const other = await open(1n);
  await scrip.accounts.updateAccount({
    accountId: other,
    requestId: requestId(),
    autoTopUp: { autoTopUp },
  });
  await collector.find('top up', (span) => attribute(span, 'error.type') !== undefined);
  stripe.intercept = () => undefined;
  expect(await deliver(scrip.webhookPort, paid)).toBe(200);
  const { trace_id: began } = session.metadata;
  const call = await collector.find(
    'billing.v1.BillingService/Purchase',
    ({ traceId }) => traceId === began,
  );
  await collector.find('POST /webhooks/stripe', ({ links = [] }) =>
    links.some(({ spanId }) => spanId === call.spanId),
  );
}

test('every documented span and attribute is exported, and no others', async () => {
  receiver.answer = answers(500);
  await makeCalls();
  await disturbUnits();
  await sweepAndClose();
  await pay();
  await collector.find('deliver event', (span) => attribute(span, 'error.type') === '500');
  await expect.poll(() => missingOf(collector.spans), SOON).toEqual([]);
  expect(undocumentedOf(collector.spans)).toEqual([]);
});

/** Of each span of the table, the attributes that no span had. */
function missingOf(spans: readonly Span[]): string[] {
  const seen = new Map<string, Set<string>>();
  for (const span of spans) {
    const name = keyOf(span);
    const attributes = seen.get(name) ?? new Set();
    for (const key of namesOf(span)) attributes.add(key);
    seen.set(name, attributes);
  }
  return Object.entries(SPANS).flatMap(([name, { attributes }]) =>
    attributes.flatMap((one) => (seen.get(name)?.has(one) ? [] : [`${name}: ${one}`])),
  );
}

/** Spans and attributes that are not in the table. */
function undocumentedOf(spans: readonly Span[]): string[] {
  const found = new Set<string>();
  for (const span of spans) {
    const documented: readonly string[] = SPANS[keyOf(span)]?.attributes ?? [];
    if (documented.length === 0) found.add(span.name);
    for (const key of namesOf(span))
      if (!documented.includes(key)) found.add(`${span.name}: ${key}`);
  }
  return [...found];
}

/** The name in the table. */
function keyOf({ name, kind, attributes }: Span): SpanName {
  if (attribute({ attributes }, 'rpc.system.name') !== undefined) return 'rpc';
  if (kind === 3 && attribute({ attributes }, 'url.template') !== undefined) return 'stripe';
  return name as SpanName;
}
