/** Names that mean something to JavaScript are stored and compared as any others. */
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import { defined, entriesOf, newestEntry, openWithCredits } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';

/** An operation with values that are named like members of every object. */
const PLAN = `
plan_id: named
title: Named
terms: {}
packs: []
operations:
  job:
    title: Job
    billable: true
    quantities:
      pages: { title: Pages, unit: page, min: 1, max: 500 }
    attributes:
      format: { title: Format }
    components:
      - { kind: per_unit, label: Pages, quantity: pages, credits: 3 }
      - kind: attribute
        label: Format
        attribute: format
        credits: { constructor: 1 }
        default: 2
`;

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ plans: [...(await plansOfDeploy()), planIn(PLAN)] });
});
afterAll(async () => {
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
  await scrip.stop();
});

const NAMES = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '7', 'a'];
const labels = (value: string) => new Map(NAMES.map((name) => [name, value]));
const LABELS = labels('x');
const id = (accountId: string) => ({ accountId, requestId: requestId() });

describe('labels with such names', () => {
  test('are returned by everything that has labels', async () => {
    const accountId = requestId();
    await scrip.accounts.openAccount({ ...id(accountId), planId: 'verts', labels: LABELS });
    expect((await scrip.accounts.getAccount({ accountId })).account?.labels).toEqual(LABELS);
    const payment = { $case: 'paymentReference' as const, value: 'order' };
    const bought = { ...id(accountId), packId: 'starter', payment, labels: LABELS };
    expect((await scrip.billing.purchase(bought)).purchase?.labels).toEqual(LABELS);
    const held = { ...id(accountId), credits: 10n, labels: LABELS };
    const { reservation } = await scrip.billing.reserve(held);
    expect(reservation?.labels).toEqual(LABELS);
    const { reservationId } = defined(reservation);
    const read = await scrip.billing.getReservation({ accountId, reservationId });
    expect(read.reservation?.labels).toEqual(LABELS);
    await scrip.billing.charge({ ...id(accountId), credits: 1n, labels: LABELS });
    for (const entry of await entriesOf(scrip, accountId)) expect(entry.labels).toEqual(LABELS);

    const changed = labels('y');
    await scrip.accounts.updateAccount({ ...id(accountId), labels: { labels: changed } });
    expect((await scrip.accounts.getAccount({ accountId })).account?.labels).toEqual(changed);
    expect((await scrip.billing.purchase(bought)).purchase?.labels).toEqual(LABELS);
  });

  test('are all in the database', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    await scrip.billing.charge({ ...id(accountId), credits: 1n, labels: LABELS });
    const rows = await execute(
      scrip.databaseUrl,
      `select json_object_keys(labels) as name from history
       where account_id = '${accountId}' and kind = 'CHARGE'`,
    );
    expect(rows.map(({ name }) => name).toSorted()).toEqual(NAMES.toSorted());
  });

  test('make two requests different', async () => {
    const accountId = await openWithCredits(scrip, 10n);
    const request = { ...id(accountId), credits: 1n };
    const label = (value: string) => ({ labels: new Map([['__proto__', value]]) });
    await scrip.billing.charge({ ...request, ...label('one') });
    for (const other of [label('two'), {}])
      expect(await errorOf(scrip.billing.charge({ ...request, ...other }))).toMatchObject({
        reason: 'REQUEST_ID_REUSED',
      });
  });
});

describe('inputs with such names', () => {
  const job = (quantities: [string, bigint][], attributes: [string, string][]) => ({
    operation: 'job',
    quantities: new Map(quantities),
    attributes: new Map(attributes),
  });

  test.each([
    ['constructor', 16n],
    ['__proto__', 17n],
    ['toString', 17n],
  ])('priced by the format %s are stored', async (format, credits) => {
    const accountId = await openWithCredits(scrip, 100n, 'named');
    const used = job([['pages', 5n]], [['format', format]]);
    const charged = await scrip.billing.charge({ ...id(accountId), usages: { items: [used] } });
    expect(charged.credits).toBe(credits);
    expect((await newestEntry(scrip, accountId)).usages[0]?.usage).toMatchObject(used);
  });

  test.each(['__proto__', 'toString'])(
    'are refused where the operation has no %s',
    async (name) => {
      const accountId = await openWithCredits(scrip, 100n, 'named');
      const good: [string, bigint] = ['constructor', 1n];
      const format: [string, string] = ['valueof', 'other'];
      for (const used of [job([good, [name, 1n]], [format]), job([good], [format, [name, 'x']])])
        expect(
          await errorOf(scrip.billing.charge({ ...id(accountId), usages: { items: [used] } })),
        ).toMatchObject({ code: status.INVALID_ARGUMENT, reason: 'INVALID_FIELD' });
    },
  );
});
