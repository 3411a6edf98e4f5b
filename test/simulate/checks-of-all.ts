/** What must be right at the end of a trace of the reads that answer for all accounts, and of the plans. */
import type { Scrip } from '../../src/client.ts';
import { type Account, Account_State } from '../../src/gen/billing/v1/account_service.ts';
import { type Entry, Reservation_State } from '../../src/gen/billing/v1/ledger.ts';
import {
  ChargePath_State,
  type TraceChargeRequest,
} from '../../src/gen/billing/v1/operator_service.ts';
import { differences } from './compare.ts';
import { entryProblem } from './entry-problem.ts';
import { packMessage } from './model/buy.ts';
import { pathsOf } from './model/charges.ts';
import { settle } from './model/due.ts';
import { entriesOf } from './model/history.ts';
import { accountOf, balanceOf, reservationOf } from './model/messages.ts';
import type { AccountState } from './model/state.ts';
import { OPERATIONS, PLANS, UNITS } from './plans.ts';
import { CALLER } from './replicas.ts';
import { Violation } from './runner.ts';

/** So short that most lists have several pages. */
const PAGE_SIZE = 5;
/** Charges that are traced by each kind of id, of each account. */
const TRACED = 6;

/** Nothing is due any more: a replica has swept. */
export async function checkAll(accounts: readonly AccountState[], now: number, scrip: Scrip) {
  const states = accounts.filter(({ seq }) => seq > 0n);
  for (const state of states) settle(state, Math.max(now, state.lastAt));
  await checkAccounts(states, now, scrip);
  await checkStuck(states, now, scrip);
  await checkPlans(scrip);
  for (const state of states) {
    await checkHistory(state, scrip);
    await checkTraces(state, now, scrip);
  }
}

/** Throws a Violation that says what differs. */
export function mustBe(what: string, actual: object, expected: object) {
  const problem = differences(actual, expected);
  if (problem) throw new Violation(`at the end ${what}: ${problem}`);
}

/** All pages of a list. */
export async function pagesOf<Item>(
  read: (pageToken: string) => Promise<{ items: readonly Item[]; nextPageToken: string }>,
): Promise<Item[]> {
  const all: Item[] = [];
  let pageToken = '';
  do {
    const page = await read(pageToken);
    all.push(...page.items);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return all;
}

type ListAccounts = Parameters<Scrip['accounts']['listAccounts']>[0];

async function checkAccounts(states: readonly AccountState[], now: number, { accounts }: Scrip) {
  const all = states
    .map((state): Account => ({ ...accountOf(state), available: balanceOf(state, now).available }))
    .sort((a, b) => (a.accountId < b.accountId ? -1 : 1));
  const median = all[Math.floor(all.length / 2)]?.available ?? 0n;
  const lists: readonly [ListAccounts, (account: Account) => boolean][] = [
    [{}, () => true],
    ...PLANS.map(({ planId }): [ListAccounts, (account: Account) => boolean] => [
      { planId },
      (account) => account.planId === planId,
    ]),
    ...Object.values(Account_State).map((state): [ListAccounts, (account: Account) => boolean] => [
      { state },
      (account) => state === Account_State.UNSPECIFIED || account.state === state,
    ]),
    [{ labels: new Map([['team', 't1']]) }, ({ labels }) => labels.get('team') === 't1'],
    [{ labelKeys: ['team'] }, ({ labels }) => labels.has('team')],
    [{ availableAtMost: median }, ({ available = 0n }) => available <= median],
    [{ inShadowMode: true }, ({ shadowMode }) => shadowMode !== undefined && !shadowMode.until],
  ];
  for (const [request, isIn] of lists) {
    const listed = await pagesOf(async (pageToken) => {
      const page = await accounts.listAccounts({ ...request, pageSize: 3, pageToken });
      return { items: page.accounts, nextPageToken: page.nextPageToken };
    });
    mustBe('the list of accounts', listed, all.filter(isIn));
  }
}

async function checkStuck(states: readonly AccountState[], now: number, { operator }: Scrip) {
  for (const state of [Reservation_State.ACTIVE, Reservation_State.EXPIRED])
    for (const olderThan of [0, UNITS.HOUR]) {
      const expected = states
        .flatMap(({ accountId, reservations }) =>
          [...reservations.values()].map((one) => reservationOf(accountId, one)),
        )
        .filter((one) => one.state === state && ageOf(one, now) >= olderThan)
        .sort(
          (a, b) => ageOf(b, now) - ageOf(a, now) || (a.reservationId < b.reservationId ? -1 : 1),
        )
        .map((reservation) => {
          const age = ageOf(reservation, now);
          return {
            reservation,
            caller: CALLER,
            age: { seconds: BigInt(Math.floor(age / 1_000)), nanos: (age % 1_000) * 1_000_000 },
            overdue: false,
          };
        });
      const listed = await pagesOf(async (pageToken) => {
        const page = await operator.listStuckReservations({
          ...{ state, pageSize: PAGE_SIZE, pageToken },
          ...(olderThan > 0 && { olderThan: { seconds: BigInt(olderThan / 1_000), nanos: 0 } }),
        });
        return { items: page.reservations, nextPageToken: page.nextPageToken };
      });
      mustBe('the list of stuck reservations', listed, expected);
    }
}

const ageOf = ({ createdAt }: { readonly createdAt: Date | undefined }, now: number): number =>
  now - (createdAt?.getTime() ?? 0);

/** Packs and operations of every plan; its terms show in everything else. */
async function checkPlans({ plans }: Scrip) {
  const listed = await plans.listPlans({});
  const ids = PLANS.map(({ planId }) => planId).sort();
  mustBe(
    'the list of plans',
    listed.plans.map(({ planId }) => planId),
    ids,
  );
  for (const { planId, packs, overage } of PLANS) {
    const { plan, rateCard } = await plans.getPlan({ planId });
    mustBe(`plan ${planId} in the list`, listed.plans[ids.indexOf(planId)] ?? {}, plan ?? {});
    const expected = {
      title: planId,
      packs: packs.map(packMessage),
      rateCardVersion: 1n,
      upcomingRateCards: [],
      customAmounts: [],
    };
    mustBe(`plan ${planId}`, { ...plan, planId: undefined, terms: undefined }, expected);
    const limit = overage ? BigInt(overage.limit) : undefined;
    mustBe(`plan ${planId}`, { limit: plan?.terms?.overageLimit }, { limit });
    const operations = rateCard?.operations.map(({ operation, billable, quantities }) => ({
      operation,
      billable,
      quantities: quantities.map(({ name, min, max }) => [name, min, max]),
    }));
    const priced = Object.entries(OPERATIONS).sort(([a], [b]) => (a < b ? -1 : 1));
    mustBe(
      `the rate card of ${planId}`,
      operations ?? {},
      priced.map(([operation, { billable, quantities }]) => ({
        operation,
        billable,
        quantities: Object.entries(quantities).map(([name, [min, max]]) => [
          name,
          BigInt(min),
          BigInt(max),
        ]),
      })),
    );
  }
}

/** All entries, newest first, page by page, and those of each half of the time. */
async function checkHistory(state: AccountState, { billing }: Scrip) {
  const { accountId, startedAt, lastAt } = state;
  const all = [...entriesOf(state)];
  const middle = new Date(Math.floor((startedAt + lastAt) / 2));
  const isLater = ({ at }: { readonly at: Date | undefined }) => (at ?? middle) >= middle;
  const lists = [
    { request: {}, expected: all },
    { request: { from: middle }, expected: all.filter(isLater) },
    { request: { to: middle }, expected: all.filter((entry) => !isLater(entry)) },
  ];
  for (const { request, expected } of lists) {
    const entries = await pagesOf<Entry>(async (pageToken) => {
      const page = await billing.listEntries({ accountId, ...request, pageSize: 40, pageToken });
      return { items: page.entries, nextPageToken: page.nextPageToken };
    });
    mustBe(`the number of entries of ${accountId}`, [entries.length], [expected.length]);
    for (const [index, entry] of entries.entries()) {
      const own = expected[index];
      const problem = own ? entryProblem(entry, own) : 'there is no such entry';
      if (problem) throw new Violation(`${accountId}: entry ${entry.seq} in a list: ${problem}`);
    }
  }
}

/** Every so many-th of them. */
const someOf = <Item>(items: readonly Item[]): readonly Item[] =>
  items.filter((_, index) => index % Math.ceil(items.length / TRACED) === 0);

async function checkTraces(state: AccountState, now: number, { operator }: Scrip) {
  const { accountId } = state;
  const entries = [...entriesOf(state)];
  const requestIds = entries.map(({ requestId }) => requestId).filter((id) => id !== '');
  const ids: readonly NonNullable<TraceChargeRequest['id']>[] = [
    ...someOf([...state.reservations.keys()]).map(
      (value) => ({ $case: 'reservationId', value }) as const,
    ),
    ...someOf(entries).map(({ seq }) => ({ $case: 'entrySeq', value: seq }) as const),
    ...someOf([...new Set(requestIds)]).map((value) => ({ $case: 'requestId', value }) as const),
  ];
  for (const id of ids) {
    const { paths } = await operator.traceCharge({ accountId, id });
    const actual = paths.map(({ key, steps, state, until, gaps, complete }) => ({
      ...{ key, state, until, gaps, complete },
      steps: steps.map(({ entry, found }) => ({ seq: entry?.seq, found })),
    }));
    const expected = pathsOf(state, id, now).map((path, index) => ({
      ...path,
      gaps: [],
      state: path.state ?? actual[index]?.state,
      complete: (path.state ?? actual[index]?.state) === ChargePath_State.ENDED,
    }));
    mustBe(`${accountId}: the charge of ${id.$case} ${id.value}`, actual, expected);
  }
}
