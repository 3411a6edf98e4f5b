/**
 * What callers can count on, and the rules that follow from it: how large the share of bad calls was, by window, and
 * alerts that compare how fast the error budget is spent over a long and a short window. The short one ends an alert
 * soon after the fault has ended.
 */
import { stringify } from 'yaml';

/** What a product service waits for. A Batch may take longer: its calls count where speed does not. */
export const CHARGES =
  'billing.v1.BillingService/(Reserve|RaiseReservation|ExtendReservation|Commit|Release|Charge)';
const CHARGES_AND_BATCHES =
  'billing.v1.BillingService/(Reserve|RaiseReservation|ExtendReservation|Commit|Release|Charge|Batch)';

export type Slo = {
  /** In the names of its recording rules. */
  readonly name: string;
  readonly alert: string;
  readonly objective: number;
  readonly promise: string;
  readonly summary: string;
  /** The share of bad calls over a window such as `5m`, in PromQL. */
  readonly badShare: (window: string) => string;
};

const callsIn = (window: string, labels: string, part = 'count'): string =>
  `sum(rate(rpc_server_call_duration_seconds_${part}{${labels}}[${window}]))`;

/** `sum` of no series is nothing, and so would the share be. */
const orZero = (sum: string): string => `(${sum} or vector(0))`;

export const SLOS: readonly Slo[] = [
  {
    name: 'faults',
    alert: 'ChargeFaults',
    objective: 0.999,
    promise: 'of the calls that charge do not fail by a fault of the service or its database',
    summary: 'calls that charge fail by a fault of the service or its database',
    badShare(window) {
      const faults = `rpc_method=~"${CHARGES_AND_BATCHES}",rpc_status_code=~"INTERNAL|UNKNOWN|DATA_LOSS|UNAVAILABLE"`;
      const all = `rpc_method=~"${CHARGES_AND_BATCHES}"`;
      return `${orZero(callsIn(window, faults))} / ${callsIn(window, all)}`;
    },
  },
  {
    name: 'slow',
    alert: 'ChargeSlow',
    objective: 0.99,
    promise: 'of the calls that charge are answered within 250 ms',
    summary: 'calls that charge take longer than 250 ms',
    badShare(window) {
      const inTime = `rpc_method=~"${CHARGES}",rpc_status_code=~"OK|FAILED_PRECONDITION",le="0.25"`;
      // A call that reached its deadline was too slow. Faults and refusals for overload count elsewhere.
      const all = `rpc_method=~"${CHARGES}",rpc_status_code=~"OK|FAILED_PRECONDITION|DEADLINE_EXCEEDED"`;
      return `1 - ${orZero(callsIn(window, inTime, 'bucket'))} / ${callsIn(window, all)}`;
    },
  },
  {
    name: 'overload',
    alert: 'Overloaded',
    objective: 0.995,
    promise: 'of the mutations are not refused with OVERLOADED',
    summary: 'mutations are refused with OVERLOADED',
    badShare(window) {
      const refused = `sum(rate(scrip_refusals_total{scrip_reason="OVERLOADED",rpc_method=~"${CHARGES}"}[${window}]))`;
      // Mutations of a Batch count one by one in both.
      const served = `sum(rate(scrip_lane_wait_seconds_count[${window}]))`;
      return `${orZero(refused)} / (${orZero(refused)} + ${served})`;
    },
  },
];

type Burn = {
  readonly severity: 'page' | 'ticket';
  readonly long: string;
  readonly short: string;
  /** How many times faster than the error budget of 30 days allows. */
  readonly factor: number;
};

/** 2 % of the budget of 30 days in an hour, 5 % in six, 10 % in three days. */
const BURNS: readonly Burn[] = [
  { severity: 'page', long: '1h', short: '5m', factor: 14.4 },
  { severity: 'page', long: '6h', short: '30m', factor: 6 },
  { severity: 'ticket', long: '3d', short: '6h', factor: 1 },
];

export const WINDOWS = [...new Set(BURNS.flatMap(({ short, long }) => [short, long]))];

export const recordOf = ({ name }: Slo, window: string): string =>
  `scrip:${name}:ratio_rate${window}`;

const percent = (share: number): string => `${Number((share * 100).toFixed(3))} %`;

const recordingRules = (slo: Slo) =>
  WINDOWS.map((window) => ({ record: recordOf(slo, window), expr: slo.badShare(window) }));

const alertOf = (slo: Slo, { severity, long, short, factor }: Burn) => {
  const most = Number((factor * (1 - slo.objective)).toFixed(6));
  return {
    alert: slo.alert,
    expr: `${recordOf(slo, long)} > ${most} and ${recordOf(slo, short)} > ${most}`,
    labels: { severity, slo: slo.name, window: long },
    annotations: {
      summary: `{{ $value | humanizePercentage }} over ${long}: ${slo.summary}`,
      description: `${percent(slo.objective)} ${slo.promise}. Others come more than ${factor} times as often as this allows, over ${long} and over ${short}.`,
      runbook_url: `deploy/observability/RUNBOOK.md#${slo.alert.toLowerCase()}`,
    },
  };
};

/** rules/slos.yaml. */
export function sloRules(): string {
  const groups = SLOS.map((slo) => ({
    name: `scrip-slo-${slo.name}`,
    rules: [...recordingRules(slo), ...BURNS.map((burn) => alertOf(slo, burn))],
  }));
  const head = '# Written by `npm run observability` from source/slos.ts.\n';
  return head + stringify({ groups }, { lineWidth: 0 });
}
