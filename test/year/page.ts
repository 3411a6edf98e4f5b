/** The simulated year as a page: credits by plan and month, statements, requests, and what the run took. */
import type { VerifyResult } from '../../src/verify/verify.ts';
import type { Chart, Columns, Lines, Row, Tone } from '../charts/chart.ts';
import type { Page } from '../charts/page.ts';
import { monthOf, monthsBetween } from './calendar.ts';
import type { CheckSummary } from './check.ts';
import type { StatementMonth } from './check-statements.ts';
import type { Flows } from './flows.ts';
import type { MonthOfRun } from './pace.ts';
import { dollars } from './rates.ts';
import type { SimulatedYear, YearOptions } from './simulate.ts';
import type { LogEntry } from './usage-log.ts';

export type CheckedYear = {
  readonly options: YearOptions;
  readonly seconds: number;
  readonly year: Pick<SimulatedYear, 'log' | 'until' | 'months'>;
  readonly summary: CheckSummary;
  readonly verified: VerifyResult & { readonly ok: true };
};

export function pageOf({ options, seconds, year, summary, verified }: CheckedYear): Page {
  const { flows } = summary.history;
  const { statements } = summary;
  return {
    title: 'Scrip: a simulated year',
    about: [
      `${count(options.accounts)} accounts, seed ${options.seed}; ${count(year.log.length)} requests, ${count(verified.entries)} entries, in ${Math.round(seconds)} s.`,
      'Accounts open during the first year. The run goes on until every contract has ended and every pack has expired. ' +
        'Histories, balances and statements were checked against the usage log.',
    ],
    sections: [
      {
        title: 'Credits',
        charts: [balances(flows), ...flows.plans.map((plan) => credits(flows, plan))],
      },
      {
        title: 'Statements',
        charts: [overage(flows), billed(statements.months), bills(statements.months)],
      },
      { title: 'Requests and entries', charts: [requests(year), entries(flows)] },
      { title: 'What the run took', charts: [speed(year.months), memory(year.months)] },
    ],
    notes: [
      `verify: ok (${count(verified.accounts)} accounts, ${count(verified.entries)} entries)`,
    ],
  };
}

const count = (figure: number): string => Math.round(figure).toLocaleString('en');

/** A tone for each plan. */
const TONES: readonly Tone[] = ['blue', 'orange', 'green', 'purple', 'red'];
const seriesOf = (names: readonly string[]) =>
  names.map((name, at) => ({ name, tone: TONES[at % TONES.length] as Tone }));

/** All months between the first and the last with an entry. */
const monthsOf = ({ months }: Flows): readonly string[] =>
  months.length === 0 ? [] : monthsBetween(months[0] as string, months.at(-1) as string);

export function balances(flows: Flows): Lines {
  const { plans } = flows;
  const balance = plans.map(() => 0n);
  return {
    kind: 'lines',
    title: 'Balances at the end of each month',
    about:
      'Credits that grants still have, with what reservations hold, of all accounts of a plan.',
    series: seriesOf(plans),
    rows: monthsOf(flows).map((month) => ({
      label: month,
      figures: plans.map((plan, at) => {
        const { granted, bought, spent, expired, voided, moved } = flows.of(plan, month);
        const before = balance[at] ?? 0n;
        balance[at] = before + granted + bought - spent - expired - voided + moved;
        return Number(balance[at]);
      }),
    })),
    show: count,
  };
}

/** Issued credits upwards, and what became of credits downwards. */
export function credits(flows: Flows, plan: string): Columns {
  const all = monthsOf(flows).map((month) => [month, flows.of(plan, month)] as const);
  const columns = [
    { name: 'granted', tone: 'blue', of: (flow) => flow.granted },
    { name: 'bought', tone: 'green', of: (flow) => flow.bought },
    { name: 'spent', tone: 'purple', of: (flow) => -flow.spent },
    { name: 'expired', tone: 'red', of: (flow) => -flow.expired },
    { name: 'voided', tone: 'orange', of: (flow) => -flow.voided },
  ] as const satisfies readonly {
    readonly name: string;
    readonly tone: Tone;
    readonly of: (flow: ReturnType<Flows['of']>) => bigint;
  }[];
  // A plan without packs has no such series.
  const present = columns.filter(({ of }) => all.some(([, flow]) => of(flow) !== 0n));
  return {
    kind: 'columns',
    title: `${plan}: credits issued, spent and expired each month`,
    about: 'What is issued goes up, what is used up goes down. Spent: of grants, less refunds.',
    series: present,
    rows: all.map(([month, flow]) => ({
      label: month,
      figures: present.map(({ of }) => Number(of(flow))),
    })),
    show: count,
  };
}

/** Apart from other credits, which it can exceed by far. */
export function overage(flows: Flows): Columns {
  const months = monthsOf(flows);
  const plans = flows.plans.filter((plan) =>
    months.some((month) => flows.of(plan, month).overage !== 0n),
  );
  return {
    kind: 'columns',
    title: 'Overage of each month',
    about: 'Credits spent beyond all grants, less refunds.',
    series: seriesOf(plans),
    rows: months.map((month) => ({
      label: month,
      figures: plans.map((plan) => Number(flows.of(plan, month).overage)),
    })),
    show: count,
  };
}

type StatementMonths = ReadonlyMap<string, StatementMonth>;

const sorted = (months: StatementMonths): readonly (readonly [string, StatementMonth])[] =>
  [...months].sort(([a], [b]) => (a < b ? -1 : 1));

const bills = (months: StatementMonths): Columns => ({
  kind: 'columns',
  title: 'Statements of each month',
  about: 'Of postpaid accounts.',
  series: [
    { name: 'with overage', tone: 'orange' },
    { name: 'without', tone: 'blue' },
  ],
  rows: sorted(months).map(([label, { withOverage, withoutOverage }]) => ({
    label,
    figures: [withOverage, withoutOverage],
  })),
  show: count,
});

const billed = (months: StatementMonths): Columns => ({
  kind: 'columns',
  title: 'Billed for each month, in USD',
  about: 'Overage by the tiers of the plan, less what refunds of months billed before give back.',
  series: [{ name: 'billed', tone: 'green' }],
  rows: sorted(months).map(([label, { billed }]) => ({
    label,
    figures: [Number(dollars(billed))],
  })),
  show: (value) => value.toLocaleString('en', { minimumFractionDigits: 2 }),
  table: {
    head: [
      '',
      'billed, USD',
      'credits of overage',
      'statements',
      'with overage',
      'with adjustments',
    ],
    rows: sorted(months).map(([month, { billed, overage, ...statements }]) => [
      month,
      dollars(billed),
      overage.toLocaleString('en'),
      count(statements.withOverage + statements.withoutOverage),
      count(statements.withOverage),
      count(statements.withAdjustments),
    ]),
  },
});

/** The kinds of requests that are drawn, and whether one is of that kind. */
const KINDS: readonly {
  readonly name: string;
  readonly tone: Tone;
  readonly is: (kind: LogEntry['request']['kind']) => boolean;
}[] = [
  { name: 'charge', tone: 'blue', is: (kind) => kind === 'charge' },
  { name: 'reserve', tone: 'purple', is: (kind) => kind === 'reserve' },
  {
    name: 'commit or release',
    tone: 'green',
    is: (kind) => kind === 'commit' || kind === 'release',
  },
  {
    name: 'other',
    tone: 'orange',
    is: (kind) => !['charge', 'reserve', 'commit', 'release'].includes(kind),
  },
];

export function requests({ log }: Pick<SimulatedYear, 'log'>): Columns {
  const refused = KINDS.length;
  const months = new Map<string, number[]>();
  for (const { at, request, response } of log) {
    const month = monthOf(at);
    const counts = months.get(month) ?? Array.from({ length: refused + 1 }, () => 0);
    months.set(month, counts);
    const kind = response.refused ? refused : KINDS.findIndex(({ is }) => is(request.kind));
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return {
    kind: 'columns',
    title: 'Requests of each month',
    about:
      'By kind, where they succeeded. Others are purchases, refunds, and accounts that open, move or close.',
    series: [...KINDS, { name: 'refused', tone: 'red' }],
    rows: [...months].map(([label, figures]) => ({ label, figures })),
    show: count,
  };
}

const entries = (flows: Flows): Columns => ({
  kind: 'columns',
  title: 'Entries of each month',
  about: 'By plan; with those that the service writes by itself: allowances, expiries.',
  series: seriesOf(flows.plans),
  rows: monthsOf(flows).map((month) => ({
    label: month,
    figures: flows.plans.map((plan) => flows.of(plan, month).entries),
  })),
  show: count,
});

const ofMonths = (
  months: readonly MonthOfRun[],
  of: (month: MonthOfRun) => Row['figures'],
): readonly Row[] => months.map((month) => ({ label: month.month, figures: of(month) }));

const speed = (months: readonly MonthOfRun[]): Chart => ({
  kind: 'lines',
  title: 'Requests in a second, by simulated month',
  about: 'Of real time, sent in batches; sweeps and the simulation of customers included.',
  series: [{ name: 'requests a second', tone: 'blue' }],
  rows: ofMonths(months, ({ requests, ms }) => [(requests / ms) * 1_000]),
  show: count,
});

const memory = (months: readonly MonthOfRun[]): Chart => ({
  kind: 'lines',
  title: 'Memory at the end of each simulated month, in MB',
  about: 'Of one process: the service, and the simulation with the whole usage log.',
  series: [
    { name: 'resident', tone: 'blue' },
    { name: 'heap', tone: 'orange' },
  ],
  rows: ofMonths(months, ({ rssMb, heapMb }) => [rssMb, heapMb]),
  show: count,
});
