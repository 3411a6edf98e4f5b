/** Accounts of another system that are imported, now and then with a mistake. */
import type { Random } from '../cluster/random.ts';
import type { ImportedGrantSpec, ImportedPurchaseSpec, ImportSpec } from './import-spec.ts';
import { ZONE_NAMES } from './model/calendar.ts';
import { PLANS, planOf, type SimulatedPlan, UNITS } from './plans.ts';

const { MINUTE, HOUR, DAY } = UNITS;

type Month = NonNullable<ImportSpec['month']>;

/** Grant.Source and Grant.Category. */
const WELCOME = { source: 1, category: 0 } as const;
const ALLOWANCE = { source: 2, category: 0 } as const;
const OPERATOR = 4;

/** `newReference` makes payment references of the account. */
export class RandomImports {
  readonly #random: Random;
  readonly #newReference: (account: number) => string;

  constructor(random: Random, newReference: (account: number) => string) {
    this.#random = random;
    this.#newReference = newReference;
  }

  /** An import that is accepted, if the month does not end before. */
  next(account: number): ImportSpec {
    const random = this.#random;
    const plan = random.of(PLANS as unknown as [SimulatedPlan]);
    const openedAgoMs = random.of([0, HOUR, 5 * DAY, 40 * DAY, 400 * DAY + 7 * HOUR]);
    const grants = this.#grants(plan, openedAgoMs);
    const purchases = Array.from({ length: random.of([0, 1, 1, 2, 4]) }, () =>
      this.#purchase(account, plan, openedAgoMs),
    );
    const { overage: billed } = plan;
    const overage = billed && this.#chance(0.6) ? random.integer(0, billed.limit) : 0;
    const used = [...grants, ...purchases].reduce((all, one) => all + one.spentThisMonth, overage);
    const timeZone = this.#chance(0.5) ? random.of(ZONE_NAMES as [string, ...string[]]) : '';
    return {
      do: 'import',
      plan: plan.planId,
      name: this.#chance(0.5) ? `name ${account}` : '',
      ...(timeZone !== '' && { timeZone }),
      ...{ openedAgoMs, grants, purchases },
      ...((used > 0 || this.#chance(0.3)) && { month: { overage, usage: this.#usage(used) } }),
      reference: this.#chance(0.5) ? `customer ${account}` : '',
    };
  }

  /** The same with a mistake, where there is place for it. */
  withMistake(spec: ImportSpec): ImportSpec {
    const random = this.#random;
    const { purchases, month = { overage: 0, usage: [] } } = spec;
    const grant: ImportedGrantSpec = {
      ...{ source: OPERATOR, category: 1, credits: 5, spent: 0, spentThisMonth: 0, agoMs: 0 },
    };
    const withGrant = (other: Partial<ImportedGrantSpec>): ImportSpec => ({
      ...spec,
      grants: [...spec.grants, { ...grant, ...other }],
    });
    const withMonth = (other: Partial<Month>): ImportSpec => ({
      ...spec,
      month: { ...month, ...other },
    });
    const [first] = purchases;
    return random.of<ImportSpec>([
      { ...spec, plan: 'unknown' },
      { ...spec, openedAgoMs: -DAY },
      withGrant({ spent: 6 }),
      withGrant({ spent: 2, spentThisMonth: 3 }),
      withGrant({ spent: 2, spentThisMonth: 2, reference: 'not in the usage' }),
      withGrant({ spent: 2, spentThisMonth: 2, agoMs: spec.openedAgoMs, lastsMs: HOUR }),
      withGrant({ agoMs: -MINUTE }),
      withGrant({ agoMs: spec.openedAgoMs + 2 * DAY }),
      // It may be of the day of the opening.
      withGrant({ agoMs: spec.openedAgoMs + random.integer(1, 38) * HOUR }),
      withGrant({ lastsMs: 0 }),
      withGrant({ onlyFor: ['doc.scan', 'doc.unknown'] }),
      withGrant({ ...ALLOWANCE, lastsMs: DAY }),
      { ...spec, grants: [...spec.grants, { ...grant, ...WELCOME }, { ...grant, ...WELCOME }] },
      withMonth({ name: '2030-12' }),
      withMonth({ overage: 151 }),
      withMonth({ usage: [...month.usage, { operation: 'doc.unknown', count: 1, credits: 0 }] }),
      withMonth({ usage: [...month.usage, { operation: 'doc.upload', count: 1, credits: 1 }] }),
      ...(first
        ? [
            { ...spec, purchases: [...purchases, { ...first, spent: 0, spentThisMonth: 0 }] },
            { ...spec, purchases: [{ ...first, pack: 'unknown' }] },
            { ...spec, purchases: [{ ...first, lastsMs: -1 }] },
          ]
        : []),
    ]);
  }

  #chance = (share: number): boolean => this.#random.next() < share;

  /** `endedAgoMs`: how long it is over; 0 or less: it is not. Of what is over for long, the month has used nothing. */
  #spent(most: number, endedAgoMs = 0) {
    const random = this.#random;
    const credits = random.integer(1, most);
    const spent = random.of([0, credits, random.integer(0, credits)]);
    const spentThisMonth = random.of([0, spent, random.integer(0, spent)]);
    return { credits, spent, spentThisMonth: endedAgoMs > DAY ? 0 : spentThisMonth };
  }

  #grants({ planId }: SimulatedPlan, openedAgoMs: number): readonly ImportedGrantSpec[] {
    const random = this.#random;
    const { welcome, allowance } = planOf(planId);
    const grants: ImportedGrantSpec[] = [];
    if (welcome && this.#chance(0.7))
      grants.push({
        ...WELCOME,
        ...this.#spent(40, openedAgoMs - 2 * DAY),
        ...{ agoMs: openedAgoMs, lastsMs: 2 * DAY },
      });
    if (allowance) {
      const length = allowance.every === 'month' ? 31 * DAY : allowance.every.days * DAY;
      for (const periods of [3, 1, 0]) {
        const agoMs = periods * length;
        // The end of an earlier month may be any time ago.
        const endedAgoMs = allowance.rollover === 'none' ? agoMs : 0;
        if (agoMs <= openedAgoMs && this.#chance(0.6))
          grants.push({ ...ALLOWANCE, ...this.#spent(allowance.credits, endedAgoMs), agoMs });
      }
    }
    for (let left = random.of([0, 0, 1, 2]); left > 0; left--)
      grants.push(this.#grant(openedAgoMs));
    return grants;
  }

  #grant(openedAgoMs: number): ImportedGrantSpec {
    const random = this.#random;
    const lastsMs = random.of([null, MINUTE, HOUR, 2 * DAY, 40 * DAY]);
    const priority = random.of([undefined, 10, 90]);
    const onlyFor = this.#chance(0.2)
      ? random.of([['doc.scan'], ['doc.scan', 'doc.convert'], ['doc.upload']])
      : null;
    const agoMs = random.of([0, random.integer(0, openedAgoMs)]);
    return {
      ...{ source: OPERATOR, category: random.of([1, 2, 4]) },
      ...this.#spent(100, lastsMs === null ? 0 : agoMs - lastsMs),
      agoMs,
      ...(lastsMs !== null && { lastsMs }),
      ...(priority !== undefined && { priority }),
      ...(onlyFor && { onlyFor }),
      reference: this.#chance(0.5) ? 'ticket' : '',
    };
  }

  #purchase(account: number, { packs }: SimulatedPlan, openedAgoMs: number): ImportedPurchaseSpec {
    const random = this.#random;
    const { packId, validity } = random.of(packs as unknown as [SimulatedPlan['packs'][number]]);
    const quantity = random.of([undefined, undefined, 1, 3]);
    const lastsMs = random.of([undefined, undefined, null, DAY]);
    const agoMs = random.of([0, random.integer(0, openedAgoMs)]);
    const lengthMs = lastsMs === undefined ? lengthOf(validity) : lastsMs;
    return {
      pack: packId,
      ...(quantity !== undefined && { quantity }),
      ...this.#spent(150, lengthMs === null ? 0 : agoMs - lengthMs),
      price: random.of(['5.00', '19.99', '0.50']),
      agoMs,
      ...(lastsMs !== undefined && { lastsMs }),
      reference: this.#newReference(account),
    };
  }

  /** None, or as many credits as were used. */
  #usage(used: number): Month['usage'] {
    const random = this.#random;
    if (this.#chance(0.3)) return [];
    const first = random.integer(0, used);
    return [
      { operation: 'doc.convert', count: random.integer(1, 9), credits: first },
      { operation: 'doc.scan', count: random.integer(1, 3), credits: used - first },
      ...(this.#chance(0.3) ? [{ operation: 'doc.upload', count: 4, credits: 0 }] : []),
    ];
  }
}

/** At least as long as a pack is valid; null: for ever. */
function lengthOf(validity: SimulatedPlan['packs'][number]['validity']): number | null {
  if (validity === null) return null;
  return 'days' in validity ? validity.days * DAY : validity.months * 31 * DAY;
}
