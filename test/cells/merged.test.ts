/** Lists, exports and streams over two cells on two servers. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Event } from '../../src/gen/billing/v1/event_service.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import {
  GetUsageRequest_Dimension as Dimension,
  ExportStatementsRequest_Format as Format,
} from '../../src/gen/billing/v1/statement_service.ts';
import { execute } from '../postgres.ts';
import { planIn } from '../pricing/fixtures.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { publishInBoth, startTwoCells, type TwoCells } from './installation.ts';

const MAY = Date.UTC(2031, 4, 10);
const JUNE = Date.UTC(2031, 5, 2);

const PLAN = planIn(`
plan_id: metered
title: Metered
terms:
  overage: { limit: 1000, mode: graduated, currency: USD, tiers: [{ price: "1" }] }
packs: []
operations:
  job.one: { title: One, billable: true, components: [{ kind: flat, label: One, credits: 1 }] }
`);

let two: TwoCells;
let scrip: TestService;
/** Of both cells in turn, in their order. */
const ids: string[] = [];
beforeAll(async () => {
  two = await startTwoCells();
  await publishInBoth(two, [PLAN], MAY);
  scrip = await startTestService({
    installation: two.installation,
    plans: [PLAN],
    frozenAt: MAY,
    env: {
      // Nobody listens: deliveries stay pending.
      EVENTS_WEBHOOK_URL: 'http://127.0.0.1:9/',
      EVENTS_WEBHOOK_SECRET: 'x'.repeat(32),
    },
  });
  for (let index = 0; index < 10; index++) {
    const accountId = two.idIn(index % 2 === 0 ? 'one' : 'two');
    ids.push(accountId);
    await use(accountId);
    scrip.advance(1_000);
  }
});
/** Opens an account and uses it until it has the event balance.low. */
async function use(accountId: string) {
  const named = () => ({ accountId, requestId: requestId() });
  await scrip.accounts.openAccount({ ...named(), planId: 'metered' });
  const credits = { credits: 100n, category: Grant_Category.PAID, reason: 'a test' };
  await scrip.accounts.grantCredits({ ...named(), ...credits });
  await scrip.billing.reserve({ ...named(), credits: 10n });
  await scrip.billing.charge({ ...named(), credits: 95n, reference: 'the same job' });
}

afterAll(async () => {
  await scrip?.stop();
  await two?.stop();
});

/** The items of all pages of a list. */
async function pagesOf<Item>(
  list: (pageToken: string) => Promise<{ items: readonly Item[]; nextPageToken: string }>,
): Promise<Item[]> {
  const all: Item[] = [];
  for (let token = ''; ; ) {
    const { items, nextPageToken } = await list(token);
    all.push(...items);
    if (nextPageToken === '') return all;
    token = nextPageToken;
  }
}

test.each([1, 3, 10, 1_000])(
  'ListAccounts lists all accounts by id, %d a page',
  async (pageSize) => {
    const accounts = await pagesOf(async (pageToken) => {
      const page = await scrip.accounts.listAccounts({ pageSize, pageToken });
      expect(page.accounts.length).toBeLessThanOrEqual(pageSize);
      return { items: page.accounts, nextPageToken: page.nextPageToken };
    });
    expect(accounts.map(({ accountId }) => accountId)).toEqual(ids.toSorted());
  },
);

test('ListStuckReservations lists the oldest of all cells first', async () => {
  const found = await pagesOf(async (pageToken) => {
    const page = await scrip.operator.listStuckReservations({ pageSize: 3, pageToken });
    return { items: page.reservations, nextPageToken: page.nextPageToken };
  });
  expect(found.map(({ reservation }) => reservation?.accountId)).toEqual(ids);
});

test('TraceCharge finds the charges of all cells, and the path of each', async () => {
  const candidates = await pagesOf(async (pageToken) => {
    const id = { $case: 'reference' as const, value: 'the same job' };
    const page = await scrip.operator.traceCharge({ id, pageSize: 4, pageToken });
    return { items: page.candidates, nextPageToken: page.nextPageToken };
  });
  expect(candidates.map(({ key }) => key?.accountId)).toEqual(ids);
  for (const { reservationId } of await reservationsOf()) {
    const id = { $case: 'reservationId' as const, value: reservationId };
    const { paths } = await scrip.operator.traceCharge({ id });
    expect(paths).toHaveLength(1);
  }
});

const reservationsOf = async () =>
  (await scrip.operator.listStuckReservations({})).reservations.flatMap(
    ({ reservation }) => reservation ?? [],
  );

describe('GetUsage', () => {
  const of = { $case: 'planId' as const, value: 'metered' };

  test('sums what accounts of all cells used', async () => {
    await scrip.service.countUsage();
    const { rows, hasOtherLabels } = await scrip.statements.getUsage({ of });
    expect(rows).toMatchObject([{ credits: 950n }]);
    expect(hasOtherLabels).toBe(false);
  });

  test('GetRollForward sums the accounts of all cells', async () => {
    const { rows } = await scrip.statements.getRollForward({ month: '2031-05', planId: 'metered' });
    expect(rows).toMatchObject([
      { issued: { credits: 1_000n }, spent: { credits: 900n }, closing: { credits: 100n } },
    ]);
  });

  test.each([1, 3, 10])('has a row for each account, %d a page', async (pageSize) => {
    const groupBy = [Dimension.ACCOUNT];
    const rows = await pagesOf(async (pageToken) => {
      const page = await scrip.statements.getUsage({ of, groupBy, pageSize, pageToken });
      expect(page.rows.length).toBeLessThanOrEqual(pageSize);
      return { items: page.rows, nextPageToken: page.nextPageToken };
    });
    expect(rows.map(({ accountId }) => accountId)).toEqual(ids.toSorted());
    expect(rows.every(({ credits }) => credits === 95n)).toBe(true);
  });
});

/** Events get their positions soon after they were written. */
const allHavePositions = () =>
  vi.waitFor(
    async () => {
      for (const { url } of two.cells)
        expect(await execute(url, 'select from events where position is null')).toEqual([]);
    },
    { timeout: 60_000 },
  );

test('StreamEvents has the events of all cells once, and goes on after any of its tokens', async () => {
  await allHavePositions();
  const [events, tokens] = await eventsAfter('');
  expect(new Set(events.map(({ eventId }) => eventId)).size).toBe(events.length);
  expect(new Set(events.map(({ accountId }) => accountId))).toEqual(new Set(ids));
  const of = (accountId: string) => events.filter((event) => event.accountId === accountId);
  for (const accountId of ids) {
    expect(of(accountId).map(({ type }) => type)).toContain('balance.low');
    const positions = of(accountId).map(({ position }) => position);
    expect(positions).toEqual(positions.toSorted((a, b) => Number(a - b)));
  }
  expect(await eventsAfter(tokens.at(-1) ?? '')).toEqual([[], []]);
  const [first = ''] = tokens;
  const [rest] = await eventsAfter(first);
  const read = new Set(rest.map(({ eventId }) => eventId));
  expect(events.filter(({ eventId }) => !read.has(eventId)).length).toBe(
    events.length - rest.length,
  );
});

async function eventsAfter(afterToken: string): Promise<[Event[], string[]]> {
  const events: Event[] = [];
  const tokens: string[] = [];
  for await (const message of scrip.events.streamEvents({ afterToken })) {
    events.push(...message.events);
    tokens.push(message.nextToken);
  }
  return [events, tokens];
}

test('ListDeliveries lists the newest events of all cells first', async () => {
  const [events] = await eventsAfter('');
  const deliveries = await pagesOf(async (pageToken) => {
    const page = await scrip.events.listDeliveries({ pageSize: 4, pageToken });
    return { items: page.deliveries, nextPageToken: page.nextPageToken };
  });
  const idsOf = (some: readonly { event?: Event | undefined }[]) =>
    some.map(({ event }) => event?.eventId).toSorted();
  expect(idsOf(deliveries)).toEqual(events.map(({ eventId }) => eventId).toSorted());
  const times = deliveries.map(({ event }) => event?.at?.getTime() ?? 0);
  expect(times).toEqual(times.toSorted((a, b) => b - a));
});

test('a reader learns that a cell has another event where it was: the database was restored', async () => {
  const [, tokens] = await eventsAfter('');
  const afterToken = tokens.at(-1) ?? '';
  const [, { url }] = two.cells;
  const newest = '(select max(position) from events)';
  const [row] = await execute(
    url,
    `select event_id, account_id from events where position = ${newest}`,
  );
  await execute(url, `update events set event_id = gen_random_uuid() where position = ${newest}`);
  try {
    expect(await errorOf(eventsAfter(afterToken))).toMatchObject({ reason: 'POSITION_LOST' });
  } finally {
    const restore = `update events set event_id = $1 where position = ${newest}`;
    await execute(url, restore, [row?.['event_id']]);
  }
  expect(await eventsAfter(afterToken)).toEqual([[], []]);
});

test('ExportStatements has the statements of all cells, by month and account', async () => {
  scrip.setNow(JUNE);
  let text = '';
  const request = { of: { $case: 'planId' as const, value: 'metered' }, fromMonth: '2031-05' };
  for await (const { content } of scrip.statements.exportStatements({
    ...request,
    format: Format.JSON,
  }))
    text += Buffer.from(content).toString();
  const statements = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(statements.map(({ accountId }) => accountId)).toEqual(ids.toSorted());
});

test('a stream that follows goes on while a cell is down, and has its events when it is back', async () => {
  const [, tokens] = await eventsAfter('');
  await two.network.close();
  for (let failure = 0; failure < 3; failure++) await scrip.service.probeDatabase();
  const [one, other] = [two.idIn('one'), two.idIn('two')];
  const followed: string[] = [];
  const seen = { one: Promise.withResolvers<void>() };
  const following = (async () => {
    const request = { afterToken: tokens.at(-1) ?? '', follow: true };
    for await (const { events } of scrip.events.streamEvents(request)) {
      followed.push(...events.map(({ accountId }) => accountId));
      if (followed.includes(one)) seen.one.resolve();
      if (followed.includes(other)) return;
    }
  })();
  try {
    await use(one);
    await seen.one.promise;
    expect(followed).not.toContain(other);
    const lists = await errorOf(scrip.accounts.listAccounts({}));
    expect(lists).toMatchObject({ reason: 'DATABASE_UNAVAILABLE', metadata: { cell: 'two' } });
  } finally {
    await two.network.open();
    await scrip.service.probeDatabase();
  }
  await use(other);
  await following;
});
