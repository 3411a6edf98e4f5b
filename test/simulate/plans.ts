/**
 * The plans of the simulation, as data. The service reads them as plan files; the model reads the data, so
 * nothing that parses, stores or prices them is shared. Times are short, so that much happens within a trace.
 */
import type { PlanFile } from '../../src/pricing/plan.ts';
import { parsePlanFile } from '../../src/pricing/plan-file/plan-file.ts';

export type Validity = { readonly days: number } | { readonly months: number } | null;

export type PlanPack = {
  readonly packId: string;
  readonly title: string;
  readonly credits: number;
  readonly price: string;
  readonly validity: Validity;
};

export type PriceComponent =
  | { readonly kind: 'flat'; readonly credits: number }
  | { readonly kind: 'per_unit'; readonly quantity: string; readonly credits: number }
  | {
      readonly kind: 'tier';
      readonly quantity: string;
      readonly steps: readonly { readonly upTo: number; readonly credits: number }[];
    };

export type PlanOperation = {
  readonly billable: boolean;
  /** Names with their smallest and largest value. */
  readonly quantities: Readonly<Record<string, readonly [min: number, max: number]>>;
  readonly components: readonly PriceComponent[];
};

/** A number of credits, or a percentage such as "25%". */
export type Level = number | `${number}%`;

export type SimulatedPlan = {
  readonly planId: string;
  readonly welcome: { readonly credits: number; readonly validity: Validity } | null;
  readonly allowance: {
    readonly credits: number;
    readonly every: 'month' | { readonly days: number };
    readonly rollover: 'none' | 'all' | { readonly upTo: number };
  } | null;
  readonly overage: {
    readonly limit: number;
    readonly rates: {
      readonly mode: 'graduated' | 'volume';
      readonly tiers: readonly { readonly upTo: number | null; readonly price: string }[];
    } | null;
  } | null;
  readonly levels: readonly Level[];
  readonly pauseFloor: number;
  readonly ttlMs: number;
  readonly maxTtlMs: number;
  readonly graceMs: number;
  readonly refundExpired: 'breakage' | 'new_grant';
  readonly payOwed: boolean;
  /** How many days usage can be late. 0: not at all. */
  readonly lateDays: number;
  readonly noticeMs: number;
  readonly packs: readonly PlanPack[];
};

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** One rate card for all plans. */
export const OPERATIONS: Readonly<Record<string, PlanOperation>> = {
  'doc.convert': {
    billable: true,
    quantities: { pages: [1, 200] },
    components: [{ kind: 'per_unit', quantity: 'pages', credits: 1 }],
  },
  'doc.scan': { billable: true, quantities: {}, components: [{ kind: 'flat', credits: 3 }] },
  'image.scale': {
    billable: true,
    quantities: { factor: [2, 16] },
    components: [
      { kind: 'flat', credits: 1 },
      {
        kind: 'tier',
        quantity: 'factor',
        steps: [
          { upTo: 4, credits: 2 },
          { upTo: 8, credits: 6 },
          { upTo: 16, credits: 13 },
        ],
      },
    ],
  },
  'doc.upload': { billable: false, quantities: {}, components: [] },
};

const base = {
  welcome: null,
  allowance: null,
  overage: null,
  levels: [],
  pauseFloor: 0,
  ttlMs: 10 * MINUTE,
  maxTtlMs: 3 * HOUR,
  graceMs: 5 * MINUTE,
  refundExpired: 'breakage',
  payOwed: false,
  lateDays: 0,
  noticeMs: 0,
} as const;

const small: PlanPack = {
  packId: 'small',
  title: 'Small',
  credits: 60,
  price: '5.00',
  validity: { days: 2 },
};
const large: PlanPack = {
  packId: 'large',
  title: 'Large',
  credits: 500,
  price: '30.00',
  validity: null,
};

export const PLANS: readonly SimulatedPlan[] = [
  {
    ...base,
    planId: 'prepaid',
    welcome: { credits: 40, validity: { days: 1 } },
    levels: [30, '25%'],
    noticeMs: 6 * HOUR,
    payOwed: true,
    packs: [small, large],
  },
  {
    ...base,
    planId: 'postpaid',
    allowance: { credits: 50, every: 'month', rollover: 'none' },
    overage: {
      limit: 150,
      rates: {
        mode: 'graduated',
        tiers: [
          { upTo: 40, price: '0.125' },
          { upTo: 90, price: '0.075' },
          { upTo: null, price: '0.035' },
        ],
      },
    },
    levels: [10],
    lateDays: 2,
    packs: [small],
  },
  {
    ...base,
    planId: 'weekly',
    allowance: { credits: 35, every: { days: 1 }, rollover: { upTo: 25 } },
    pauseFloor: 15,
    levels: [20],
    refundExpired: 'new_grant',
    graceMs: HOUR,
    payOwed: true,
    packs: [small, { ...large, packId: 'month', validity: { months: 1 } }],
  },
  {
    ...base,
    planId: 'counted',
    overage: { limit: 60, rates: null },
    ttlMs: MINUTE,
    graceMs: 0,
    refundExpired: 'new_grant',
    packs: [large],
  },
];

/** The plan of an id that exists. */
export function planOf(planId: string): SimulatedPlan {
  const plan = PLANS.find((candidate) => candidate.planId === planId);
  if (!plan) throw new Error(`there is no plan ${planId}`);
  return plan;
}

/** The plans as the service's plan files. JSON is YAML. */
export function planFiles(): readonly PlanFile[] {
  return PLANS.map((plan) => {
    const parsed = parsePlanFile(`${plan.planId}.yaml`, JSON.stringify(toFile(plan), null, 1));
    if ('plan' in parsed) return parsed.plan;
    throw new Error(JSON.stringify(parsed.errors));
  });
}

const validityText = (validity: Validity): string => {
  if (validity === null) return 'never';
  return 'days' in validity ? `${validity.days} days` : `${validity.months} months`;
};

const toFile = (plan: SimulatedPlan) => ({
  plan_id: plan.planId,
  title: plan.planId,
  terms: {
    ...(plan.welcome && {
      welcome: { credits: plan.welcome.credits, validity: validityText(plan.welcome.validity) },
    }),
    ...(plan.allowance && { allowance: allowanceOf(plan.allowance) }),
    ...(plan.overage && { overage: overageOf(plan.overage) }),
    low_balance_levels: plan.levels,
    pause_floor: plan.pauseFloor,
    reservation: {
      ttl: `${plan.ttlMs / 1_000}s`,
      max_ttl: `${plan.maxTtlMs / 1_000}s`,
      grace: `${plan.graceMs / 1_000}s`,
    },
    refund_expired: plan.refundExpired,
    pay_owed: plan.payOwed,
    ...(plan.lateDays > 0 && { late_usage: `${plan.lateDays}d` }),
    expiring_notice: `${plan.noticeMs / 1_000}s`,
  },
  packs: plan.packs.map(({ packId, title, credits, price, validity }) => ({
    pack_id: packId,
    title,
    credits,
    price: `${price} USD`,
    validity: validityText(validity),
  })),
  operations: Object.fromEntries(
    Object.entries(OPERATIONS).map(([name, operation]) => [name, operationOf(name, operation)]),
  ),
});

const allowanceOf = ({ credits, every, rollover }: NonNullable<SimulatedPlan['allowance']>) => ({
  credits,
  every: every === 'month' ? 'month' : `${every.days} days`,
  rollover: typeof rollover === 'string' ? rollover : { up_to: rollover.upTo },
});

const overageOf = ({ limit, rates }: NonNullable<SimulatedPlan['overage']>) => ({
  limit,
  ...(rates && {
    mode: rates.mode,
    currency: 'USD',
    tiers: rates.tiers.map(({ upTo, price }) => ({ ...(upTo !== null && { up_to: upTo }), price })),
  }),
});

const operationOf = (name: string, { billable, quantities, components }: PlanOperation) => ({
  title: name,
  billable,
  quantities: Object.fromEntries(
    Object.entries(quantities).map(([quantity, [min, max]]) => [
      quantity,
      { title: quantity, unit: quantity, min, max },
    ]),
  ),
  ...(billable && {
    components: components.map((component) =>
      component.kind === 'tier'
        ? {
            ...{ kind: 'tier', label: component.kind, quantity: component.quantity },
            steps: component.steps.map(({ upTo, credits }) => ({ up_to: upTo, credits })),
          }
        : { label: component.kind, ...component },
    ),
  }),
});

export const UNITS = { MINUTE, HOUR, DAY } as const;
