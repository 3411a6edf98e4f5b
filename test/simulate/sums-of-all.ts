/** What must be right at the end of a trace of sums: usage, roll-forward, imports. */
import type { Scrip } from '../../src/client.ts';
import { GetUsageRequest_Dimension } from '../../src/gen/billing/v1/statement_service.ts';
import { mustBe } from './checks-of-all.ts';
import { entriesOf } from './model/history.ts';
import { importSums } from './model/import-sums.ts';
import { type AccountState, type BucketName, type ModelEntry, sum } from './model/state.ts';
import { givenBack } from './model/statement.ts';
import { UNITS } from './plans.ts';

/** Everything is counted, and nothing is due. */
export async function checkSums(
  states: readonly AccountState[],
  startsAt: number,
  now: number,
  scrip: Scrip,
) {
  for (const state of states) if (state.seq > 0n) await checkUsage(state, startsAt, now, scrip);
  await checkRollForward(states, startsAt, now, scrip);
  const accountIds = states.map(({ accountId }) => accountId);
  if (accountIds.length > 0)
    mustBe(
      'the sums of imports',
      await scrip.accounts.sumImports({ accountIds }),
      importSums(states),
    );
}

type Used = { count: bigint; credits: bigint; refunded: bigint };

/** Of each operation; what was measured of it is not predicted. */
async function checkUsage(
  state: AccountState,
  startsAt: number,
  now: number,
  { statements }: Scrip,
) {
  const { accountId } = state;
  const from = new Date(Math.floor(startsAt / UNITS.HOUR) * UNITS.HOUR);
  const { rows, exactUpToSeq } = await statements.getUsage({
    of: { $case: 'accountId', value: accountId },
    from,
    to: new Date((Math.floor(now / UNITS.HOUR) + 1) * UNITS.HOUR),
    groupBy: [GetUsageRequest_Dimension.OPERATION],
    pageSize: 1_000,
  });
  const used = new Map<string, Used>();
  const add = (operation: string, count: bigint, credits: bigint, refunded: bigint) => {
    const before = used.get(operation) ?? { count: 0n, credits: 0n, refunded: 0n };
    used.set(operation, {
      count: before.count + count,
      credits: before.credits + credits,
      refunded: before.refunded + refunded,
    });
  };
  for (const { uses } of state.spendings.values())
    for (const { operation, count, credits } of uses) add(operation, count, credits, 0n);
  for (const { spending, split } of state.refunds)
    for (const { operation, credits } of givenBack(spending, split))
      add(operation, 0n, 0n, credits);
  const expected = [...used]
    .filter(([, { count, credits, refunded }]) => count > 0n || credits > 0n || refunded > 0n)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  mustBe(
    `the usage of ${accountId}`,
    {
      rows: rows.map(({ operation, count, credits, refunded }) => [
        operation,
        { count, credits, refunded },
      ]),
      exactUpToSeq,
    },
    { rows: expected, exactUpToSeq: state.seq },
  );
}

const monthOf = (at: number): string => new Date(at).toISOString().slice(0, 7);
const timeOf = ({ at }: ModelEntry): number => at?.getTime() ?? 0;
const isHeld = (name: BucketName): boolean => name === 'available' || name === 'reserved';

/** What grants held before and after an entry is the difference of what moved to them and from them. */
const heldBy = (entries: readonly ModelEntry[]): bigint =>
  sum(
    entries.flatMap(({ moves }) => moves),
    ({ from, to, credits }) => (isHeld(to) ? credits : 0n) - (isHeld(from) ? credits : 0n),
  );

/** Also what pays for work that was owed. */
const spentBy = (entries: readonly ModelEntry[]): bigint =>
  sum(
    entries.flatMap(({ moves }) => moves),
    ({ from, to, credits }) =>
      isHeld(from) && (to === 'consumed' || to === 'owed') ? credits : 0n,
  );

/** The figures of each month over all plans, in credits. What was paid for them is not predicted. */
async function checkRollForward(
  states: readonly AccountState[],
  startsAt: number,
  now: number,
  { statements }: Scrip,
) {
  const entries = states.flatMap((state) => [...entriesOf(state)]);
  for (let at = startsAt; monthOf(at) <= monthOf(now); at = nextMonth(at)) {
    const month = monthOf(at);
    const { rows } = await statements.getRollForward({ month });
    const total = (name: 'opening' | 'spent' | 'closing') =>
      sum(rows, (row) => row[name]?.credits ?? 0n);
    const within = (isIn: (other: string) => boolean) =>
      entries.filter((entry) => isIn(monthOf(timeOf(entry))));
    mustBe(
      `the roll-forward of ${month}`,
      { opening: total('opening'), spent: total('spent'), closing: total('closing') },
      {
        opening: heldBy(within((other) => other < month)),
        spent: spentBy(within((other) => other === month)),
        closing: heldBy(within((other) => other <= month)),
      },
    );
  }
}

function nextMonth(at: number): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}
