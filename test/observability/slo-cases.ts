/** When the alerts of each SLO fire: by how many times the allowed share of bad calls, for how long. */
import { SLOS } from '../../deploy/observability/source/slos.ts';
import type { AlertCase } from './alert-cases.ts';

const METHOD = 'rpc_method="billing.v1.BillingService/Charge"';
const calls = (status: string, part = 'count', labels = ''): string =>
  `rpc_server_call_duration_seconds_${part}{${METHOD},rpc_status_code="${status}"${labels}}`;

type Series = (counted: string) => Readonly<Record<string, string>>;

/** What good and bad calls count in. */
const COUNTERS: Readonly<Record<string, { readonly good: Series; readonly bad: Series }>> = {
  ChargeFaults: {
    good: (counted) => ({ [calls('OK')]: counted, [calls('FAILED_PRECONDITION')]: '0x4320' }),
    bad: (counted) => ({ [calls('UNAVAILABLE')]: counted }),
  },
  ChargeSlow: {
    good: (counted) => ({ [calls('OK')]: counted, [calls('OK', 'bucket', ',le="0.25"')]: counted }),
    bad: (counted) => ({
      [calls('FAILED_PRECONDITION')]: counted,
      [calls('FAILED_PRECONDITION', 'bucket', ',le="0.25"')]: '0x4320',
    }),
  },
  Overloaded: {
    good: (counted) => ({ scrip_lane_wait_seconds_count: counted }),
    bad: (counted) => ({ [`scrip_refusals_total{${METHOD},scrip_reason="OVERLOADED"}`]: counted }),
  },
};

const DAYS_3 = 3 * 24 * 60;
const GOOD_PER_MINUTE = 10_000;

type Situation = {
  readonly situation: string;
  /** As a multiple of what the objective allows. */
  readonly burn: number;
  /** From minute to minute. */
  readonly from: number;
  readonly to?: number;
  readonly firing: { readonly severity: string; readonly window: string } | null;
};

const SITUATIONS: readonly Situation[] = [
  {
    situation: '20 times as many for an hour',
    burn: 20,
    from: DAYS_3 - 60,
    firing: { severity: 'page', window: '1h' },
  },
  {
    situation: '8 times as many for six hours',
    burn: 8,
    from: DAYS_3 - 360,
    firing: { severity: 'page', window: '6h' },
  },
  {
    situation: 'twice as many for three days',
    burn: 2,
    from: 0,
    firing: { severity: 'ticket', window: '3d' },
  },
  { situation: 'a few less than allowed, for three days', burn: 0.8, from: 0, firing: null },
  {
    situation: '20 times as many for half an hour, which has ended',
    burn: 20,
    from: DAYS_3 - 80,
    to: DAYS_3 - 50,
    firing: null,
  },
];

export const SLO_CASES: readonly AlertCase[] = SLOS.flatMap(
  ({ alert, objective, summary }): AlertCase[] => {
    const counters = COUNTERS[alert];
    if (!counters) throw new Error(`no counters of ${alert}`);
    const good = counters.good(`0+${GOOD_PER_MINUTE}x${DAYS_3}`);
    const cases = SITUATIONS.map(({ situation, burn, from, to = DAYS_3, firing }) => {
      const perMinute = Math.round(burn * (1 - objective) * GOOD_PER_MINUTE);
      const counted = `0x${from} ${perMinute}+${perMinute}x${to - from - 1} ${perMinute * (to - from)}x${DAYS_3 - to}`;
      const share = perMinute / (perMinute + GOOD_PER_MINUTE);
      const expected = firing && {
        labels: firing,
        summary: `${Number((share * 100).toPrecision(4))}% over ${firing.window}: ${summary}`,
      };
      return {
        alert,
        situation,
        series: { ...good, ...counters.bad(counted) },
        minute: DAYS_3,
        // The rates over three days take seconds where they are computed every minute.
        evaluation: '6h',
        firing: expected ? [expected] : [],
      };
    });
    return [...cases, { alert, situation: 'no calls', series: {}, minute: 60, firing: [] }];
  },
);
