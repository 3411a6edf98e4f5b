/** TraceCharge shows a caller the charges of its accounts, and others as if they did not exist. */
import '../../src/telemetry/sdk.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defined } from '../accounts.ts';
import { type PolicedService, startPoliced } from '../authorization/policed-service.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId } from '../service.ts';
import { named, newTrace, pathOf, type Trace, traceAll } from './traced.ts';

const RULES = `
  - { id: header:by-prefix, roles: [operator], accounts: { prefixes: [mine-] } }
  - { id: header:by-label, roles: [observer], accounts: { labels: { team: media } } }
  - { id: header:by-plan, roles: [operator], accounts: { plans: [perfectparser] } }
  - { id: header:own, roles: [product-service, operator], own_reservations_only: true }
  - { id: header:product, roles: [product-service] }
  - { id: header:support, roles: [support] }`;

let scrip: PolicedService;
const accounts = { prefix: `mine-${requestId()}`, label: requestId(), plan: requestId() };
let trace: Trace;
const shared = requestId();
const reference = `job-${requestId()}`;
let reservations: Map<string, string>;
let ownReservation: string;

beforeAll(async () => {
  scrip = await startPoliced(RULES);
  trace = newTrace();
  reservations = new Map();
  for (const [name, accountId] of Object.entries(accounts)) {
    const planId = name === 'plan' ? 'perfectparser' : 'aspose-cloud';
    const labels = name === 'label' ? new Map([['team', 'media']]) : new Map();
    await scrip.accounts.openAccount({ ...named(accountId), planId, labels });
    const { reservation } = await scrip
      .as('product')
      .billing.reserve({ accountId, requestId: shared, credits: 1n, reference }, trace);
    reservations.set(accountId, defined(reservation).reservationId);
  }
  const { reservation } = await scrip
    .as('own')
    .billing.reserve({ ...named(accounts.label), credits: 1n, reference }, trace);
  ownReservation = defined(reservation).reservationId;
});
afterAll(() => scrip.stop());

const idsOfAll = () =>
  [
    { $case: 'traceId', value: trace.traceId },
    { $case: 'requestId', value: shared },
    { $case: 'reference', value: reference },
  ] as const;

describe.each([
  ['by-prefix', accounts.prefix],
  ['by-plan', accounts.plan],
] as const)('%s', (caller, own) => {
  test('sees of what several accounts have only its own, which is then the one', async () => {
    for (const id of idsOfAll())
      expect((await pathOf(scrip.as(caller), id)).key?.accountId).toBe(own);
  });

  test.each(Object.values(accounts).filter((accountId) => accountId !== own))(
    'does not find the reservation of another (%s)',
    async (accountId) => {
      const value = defined(reservations.get(accountId));
      const { operator } = scrip.as(caller);
      const id = { $case: 'reservationId', value } as const;
      const denied = await errorOf(operator.traceCharge({ id }));
      const unknown = { $case: 'reservationId', value: requestId() } as const;
      const missing = await errorOf(operator.traceCharge({ id: unknown }));
      expect(denied).toEqual({
        ...missing,
        message: missing.message.replace(unknown.value, value),
        metadata: { kind: 'reservation_id', id: value },
        details: denied.details,
      });
      const named = await errorOf(operator.traceCharge({ id, accountId }));
      expect(['ACCOUNT_NOT_FOUND', 'CALLER_NOT_ALLOWED']).toContain(named.reason);
    },
  );
});

test('by-label sees the charges of accounts with the label, whoever made them', async () => {
  const { paths } = await traceAll(scrip.as('by-label'), defined(idsOfAll()[0]));
  expect(paths.map(({ key }) => key?.accountId)).toEqual([accounts.label, accounts.label]);
});

test('who sees own work only sees its own reservation', async () => {
  const own = scrip.as('own');
  for (const id of [idsOfAll()[0], idsOfAll()[2]]) {
    const { key } = await pathOf(own, id);
    expect(key?.charge).toEqual({ $case: 'reservationId', value: ownReservation });
  }
  const value = defined(reservations.get(accounts.label));
  const id = { $case: 'reservationId', value } as const;
  expect(await errorOf(own.operator.traceCharge({ id }))).toMatchObject({
    reason: 'CHARGE_NOT_FOUND',
  });
});

test('who is limited to nothing sees all', async () => {
  const { paths } = await traceAll(scrip, defined(idsOfAll()[0]));
  expect(paths).toHaveLength(4);
  const { candidates } = await traceAll(scrip, defined(idsOfAll()[1]));
  expect(candidates.map(({ key }) => key?.accountId)).toEqual(Object.values(accounts));
});

test('it is its own permission: who may read histories may not trace', async () => {
  const id = { $case: 'traceId', value: trace.traceId } as const;
  for (const caller of ['product', 'support'])
    expect(await errorOf(scrip.as(caller).operator.traceCharge({ id }))).toMatchObject({
      reason: 'CALLER_NOT_ALLOWED',
      metadata: { method: 'TraceCharge', limit: 'method' },
    });
});
