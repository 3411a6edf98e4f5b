/** Simulates the year, and the time after it until the last pack has expired and the last statement is closed. */
import { Random } from '../cluster/random.ts';
import { beginOf, DAY_MS, dayOf, laterByMonths, monthAfter, monthOf } from './calendar.ts';
import { Caller } from './caller.ts';
import { Customer, type PlanId } from './customer.ts';
import { importAccounts } from './imported.ts';
import { LATE_USAGE_MS } from './late-usage.ts';
import { type MonthOfRun, Pace } from './pace.ts';
import { type PublishedPlans, readPlans } from './rates.ts';
import type { SimulatedService } from './simulated-service.ts';
import { SWEEP_OFFSET_MS, TIMES_OF_DAY, timeOfDay } from './time-of-day.ts';
import type { LogEntry } from './usage-log.ts';

/** A leap year: packs of 29 February expire on the 28th. */
export const YEAR = 2028;
export const STARTS_AT = Date.UTC(YEAR, 0, 1);
const ENDS_AT = Date.UTC(YEAR + 1, 0, 1);
const DAYS = (ENDS_AT - STARTS_AT) / DAY_MS;

/** The plans of ten accounts. */
const PLANS: readonly PlanId[] = [
  'aspose-cloud',
  'perfectparser',
  'verts',
  'aspose-cloud',
  'perfectparser',
  'verts',
  'aspose-cloud',
  'perfectparser',
  'verts',
  'perfectparser',
];

export type YearOptions = {
  readonly accounts: number;
  readonly seed: number;
  /** All accounts are imported from another system on the first day. Default: each is opened on a day of the year. */
  readonly isImported?: boolean;
  /** The run ends with this month, and the contracts go on. Default: when the last pack has expired. */
  readonly months?: number | undefined;
};

export type SimulatedYear = {
  readonly log: readonly LogEntry[];
  readonly plans: PublishedPlans;
  /** The time of the last sweep. */
  readonly until: number;
  /** The run ended before the contracts. */
  readonly isCut: boolean;
  readonly batches: number;
  readonly repeats: number;
  readonly months: readonly MonthOfRun[];
};

export async function simulateYear(
  simulated: SimulatedService,
  { accounts, seed, isImported = false, months }: YearOptions,
  print: (text: string) => void,
): Promise<SimulatedYear> {
  const { scrip, service, setNow } = simulated;
  const plans = await readPlans(scrip);
  const caller = new Caller(scrip);
  const random = new Random(seed);
  const customers = Array.from(
    { length: accounts },
    (_, index) =>
      new Customer(index, seed, PLANS[index % PLANS.length] as PlanId, DAYS, isImported),
  );
  const startedAt = performance.now();
  if (isImported) {
    setNow(STARTS_AT);
    caller.log.push(...(await importAccounts(scrip, customers, STARTS_AT)));
    print(`imported: ${accounts.toLocaleString('en')} accounts; the sums are equal`);
  }
  const cutAt = months === undefined ? null : Date.UTC(YEAR, months, 1);
  const pace = new Pace();
  let checked = 0;
  /** When the last pack expires, and the last statement is closed. */
  let lastDue = 0;
  let until = STARTS_AT;
  const isOver = () =>
    cutAt !== null
      ? until + DAY_MS > cutAt
      : until > ENDS_AT && until > lastDue && customers.every(({ isSettled }) => isSettled);
  for (let day = 0; !isOver(); day++) {
    const dayStart = STARTS_AT + day * DAY_MS;
    setNow(dayStart);
    // A sweep at the first millisecond of a month, while reservations are active.
    if (dayOf(dayStart).endsWith('-01')) await service.sweep();
    for (const name of TIMES_OF_DAY) {
      const spreadMs = Math.floor(random.next() * 2 * 3_600_000);
      const time = timeOfDay(name, day, dayStart, ENDS_AT, spreadMs);
      const requests = customers.flatMap((customer) => customer.requests(time));
      if (requests.length === 0) continue;
      setNow(time.at);
      await caller.send(time.at, requests);
    }
    until = dayStart + SWEEP_OFFSET_MS;
    setNow(until);
    await service.sweep();
    for (; checked < caller.log.length; checked++)
      lastDue = Math.max(lastDue, dueAfter(plans, caller.log[checked] as LogEntry));
    if (monthOf(dayStart) === monthOf(dayStart + DAY_MS)) continue;
    print(progress(monthOf(dayStart), caller.log, performance.now() - startedAt));
    pace.endMonth(monthOf(dayStart), caller.log.length);
  }
  // The run can end within a month.
  if (pace.months.at(-1)?.month !== monthOf(until))
    pace.endMonth(monthOf(until), caller.log.length);
  const { log, batches, repeats } = caller;
  return { log, plans, until, isCut: cutAt !== null, batches, repeats, months: pace.months };
}

const progress = (month: string, log: readonly LogEntry[], ms: number): string =>
  `${month}: ${log.length.toLocaleString('en')} requests so far, ${Math.round(ms / 1_000)} s`;

/**
 * When a pack that was bought or extended expires, or the statement of a closed account is closed; 0 for other requests.
 * Of equally named packs the longest counts.
 */
function dueAfter(plans: PublishedPlans, { at, request }: LogEntry): number {
  if (request.kind === 'close') return beginOf(monthAfter(monthOf(at), 1)) + LATE_USAGE_MS;
  if (request.kind === 'extend grant') return request.expiresAt;
  if (request.kind !== 'purchase') return 0;
  const months = [...plans.values()].flatMap(({ plan }) =>
    plan.packs.flatMap(({ packId, validity }) =>
      packId === request.packId && validity?.length?.$case === 'months' ? validity.length.value : 0,
    ),
  );
  return laterByMonths(at, Math.max(0, ...months));
}
