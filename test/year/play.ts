/** Plays the year, and the time after it until the last pack has expired. */
import { Random } from '../cluster/random.ts';
import { DAY_MS, dayOf, laterByMonths, monthOf } from './calendar.ts';
import { Caller } from './caller.ts';
import { Customer, type PlanId } from './customer.ts';
import type { Logged } from './log.ts';
import { MOMENTS, momentOf, SWEEP_FROM_MS } from './moment.ts';
import { type PublishedPlans, readPlans } from './rates.ts';
import type { Stage } from './stage.ts';

/** A leap year: packs of 29 February expire on the 28th. */
export const YEAR = 2028;
export const STARTS_AT = Date.UTC(YEAR, 0, 1);
const ENDS_AT = Date.UTC(YEAR + 1, 0, 1);
const DAYS = (ENDS_AT - STARTS_AT) / DAY_MS;

/** Of ten accounts. */
const SHARES: readonly PlanId[] = [
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

export type YearOptions = { readonly accounts: number; readonly seed: number };

export type Played = {
  readonly log: readonly Logged[];
  readonly plans: PublishedPlans;
  /** The last moment at which everything was settled. */
  readonly until: number;
  readonly batches: number;
  readonly repeats: number;
};

export async function play(
  stage: Stage,
  { accounts, seed }: YearOptions,
  say: (text: string) => void,
): Promise<Played> {
  const { scrip, service, setNow } = stage;
  const plans = await readPlans(scrip);
  const caller = new Caller(scrip);
  const random = new Random(seed);
  const customers = Array.from(
    { length: accounts },
    (_, index) => new Customer(index, seed, SHARES[index % SHARES.length] as PlanId, DAYS),
  );
  const startedAt = performance.now();
  let looked = 0;
  let lastExpiry = 0;
  let until = STARTS_AT;
  const over = () =>
    until > ENDS_AT && until > lastExpiry && customers.every(({ settled }) => settled);
  for (let day = 0; !over(); day++) {
    const dayStart = STARTS_AT + day * DAY_MS;
    setNow(dayStart);
    // At the very first moment of a month: what it turns is turned, whatever still runs.
    if (dayOf(dayStart).endsWith('-01')) await service.sweep();
    for (const name of MOMENTS) {
      const spreadMs = Math.floor(random.next() * 2 * 3_600_000);
      const moment = momentOf(name, day, dayStart, ENDS_AT, spreadMs);
      const wishes = customers.flatMap((customer) => customer.wishes(moment));
      if (wishes.length === 0) continue;
      setNow(moment.at);
      await caller.ask(moment.at, wishes);
    }
    until = dayStart + SWEEP_FROM_MS;
    setNow(until);
    await service.sweep();
    for (; looked < caller.log.length; looked++)
      lastExpiry = Math.max(lastExpiry, expiryOf(plans, caller.log[looked] as Logged));
    if (monthOf(dayStart) !== monthOf(dayStart + DAY_MS))
      say(progress(monthOf(dayStart), caller.log, performance.now() - startedAt));
  }
  const { log, batches, repeats } = caller;
  return { log, plans, until, batches, repeats };
}

const progress = (month: string, log: readonly Logged[], ms: number): string =>
  `${month}: ${log.length.toLocaleString('en')} requests so far, ${Math.round(ms / 1_000)} s`;

/** When a pack that was bought expires; 0 for all else. Pack names differ in expiry by plan. */
function expiryOf(plans: PublishedPlans, { at, asked }: Logged): number {
  if (asked.kind !== 'purchase') return 0;
  const months = [...plans.values()].flatMap(({ plan }) =>
    plan.packs.flatMap(({ packId, validity }) =>
      packId === asked.packId && validity?.length?.$case === 'months' ? validity.length.value : 0,
    ),
  );
  return laterByMonths(at, Math.max(0, ...months));
}
