/** Dashboard "Scrip: service": whether calls are served, and where time goes. */
import type { DashboardSource } from './panels.ts';
import { CHARGES, recordOf, SLOS } from './slos.ts';

const BUDGET = Object.fromEntries(
  SLOS.map((slo) => [
    slo.alert,
    `${recordOf(slo, '1h')} / ${Number((1 - slo.objective).toFixed(6))}`,
  ]),
);

const quantile = (share: number, metric: string, labels = '', by: readonly string[] = []): string =>
  `histogram_quantile(${share}, sum by (${['le', ...by].join(', ')}) (rate(${metric}_bucket${labels && `{${labels}}`}[$__rate_interval])))`;

const rateBy = (label: string, metric: string): string =>
  `sum by (${label}) (rate(${metric}[$__rate_interval]))`;

const CALLS = 'rpc_server_call_duration_seconds';

export const SERVICE: DashboardSource = {
  uid: 'scrip-service',
  title: 'Scrip: service',
  description: 'Whether calls are served, and where time goes. What each alert means: RUNBOOK.md.',
  rows: {
    Objectives: [
      ...Object.entries(BUDGET).map(([alert, expr]) => ({
        title: `${alert}: burn rate`,
        description:
          'How many times faster than allowed the error budget was spent in the last hour. It pages at 14.4.',
        unit: 'none',
        queries: { [alert]: expr },
        redFrom: 14.4,
      })),
    ],
    Calls: [
      {
        title: 'Calls by method',
        unit: 'reqps',
        queries: {
          '{{rpc_method}}': rateBy('rpc_method', `${CALLS}_count{rpc_method=~"billing.v1.+"}`),
        },
      },
      {
        title: 'Calls by status, without OK',
        unit: 'reqps',
        queries: {
          '{{rpc_status_code}}': rateBy(
            'rpc_status_code',
            `${CALLS}_count{rpc_method=~"billing.v1.+",rpc_status_code!="OK"}`,
          ),
        },
      },
      {
        title: 'Duration of charges',
        description: 'Answered calls that charge. The objective: 99 % within 250 ms.',
        unit: 's',
        queries: Object.fromEntries(
          [0.5, 0.95, 0.99].map((share) => [
            `p${share * 100}`,
            quantile(
              share,
              CALLS,
              `rpc_method=~"${CHARGES}",rpc_status_code=~"OK|FAILED_PRECONDITION"`,
            ),
          ]),
        ),
      },
      {
        title: 'Bad calls of the last 5 minutes',
        unit: 'percentunit',
        queries: Object.fromEntries(SLOS.map((slo) => [slo.name, recordOf(slo, '5m')])),
      },
      {
        title: 'Refusals by reason',
        unit: 'reqps',
        queries: { '{{scrip_reason}}': rateBy('scrip_reason', 'scrip_refusals_total') },
      },
      {
        title: 'Repeated requests',
        description: 'Mutations answered with their first response.',
        unit: 'reqps',
        queries: { '{{rpc_method}}': rateBy('rpc_method', 'scrip_replays_total') },
      },
      {
        title: 'Shadow mode',
        description: 'Decisions, by why they would have been refused; without a reason: allowed.',
        unit: 'reqps',
        queries: { '{{scrip_reason}}': rateBy('scrip_reason', 'scrip_shadow_decisions_total') },
      },
    ],
    'Where time goes': [
      {
        title: 'Wait in the lane, and phases of units of work (p99)',
        unit: 's',
        queries: {
          wait: quantile(0.99, 'scrip_lane_wait_seconds'),
          '{{scrip_unit_phase}}': quantile(0.99, 'scrip_unit_duration_seconds', '', [
            'scrip_unit_phase',
          ]),
        },
      },
      {
        title: 'Tasks that wait',
        unit: 'none',
        queries: { '{{instance}}': 'sum by (instance) (scrip_lane_queue)' },
      },
      {
        title: 'Tasks of a unit of work',
        description: 'Larger units cost less per task.',
        unit: 'none',
        queries: {
          mean: 'sum(rate(scrip_unit_size_sum[$__rate_interval])) / sum(rate(scrip_unit_size_count[$__rate_interval]))',
          p99: quantile(0.99, 'scrip_unit_size'),
        },
      },
      {
        title: 'Repeated units of work',
        unit: 'cps',
        queries: {
          '{{scrip_retry_cause}}': rateBy('scrip_retry_cause', 'scrip_unit_retries_total'),
        },
      },
      {
        title: 'Account cache',
        description: 'Share of accounts by what the cache had.',
        unit: 'percentunit',
        queries: {
          '{{scrip_cache_result}}': `${rateBy('scrip_cache_result', 'scrip_cache_total')} / ignoring (scrip_cache_result) group_left () sum(rate(scrip_cache_total[$__rate_interval]))`,
        },
      },
      {
        title: 'Payment provider (p95)',
        unit: 's',
        queries: {
          '{{http_request_method}} {{url_template}} {{scrip_outcome}}': quantile(
            0.95,
            'scrip_provider_duration_seconds',
            '',
            ['http_request_method', 'url_template', 'scrip_outcome'],
          ),
        },
      },
    ],
    Resources: [
      {
        title: 'Database connections, and work that waits for one',
        unit: 'none',
        queries: {
          '{{db_client_connection_state}}':
            'sum by (db_client_connection_state) (db_client_connection_count{job="scrip"})',
          limit: 'sum(db_client_connection_max{job="scrip"})',
          waiting: 'sum(db_client_connection_pending_requests{job="scrip"})',
        },
      },
      {
        title: 'Replicas',
        description: 'Replicas whose metrics are there.',
        unit: 'none',
        queries: { replicas: 'count(scrip_lane_queue)' },
      },
      {
        title: 'Event loop: busy',
        description: 'One core is all that a replica has for its JavaScript.',
        unit: 'percentunit',
        queries: { '{{instance}}': 'nodejs_eventloop_utilization_ratio{job="scrip"}' },
      },
      {
        title: 'Event loop: late (p99)',
        unit: 's',
        queries: { '{{instance}}': 'nodejs_eventloop_delay_p99_seconds{job="scrip"}' },
      },
      {
        title: 'Clock: host and database differ',
        unit: 's',
        queries: { '{{instance}}': 'abs(scrip_clock_offset_seconds)' },
      },
      {
        title: 'Telemetry that was dropped',
        unit: 'cps',
        queries: {
          '{{scrip_telemetry_item}}': rateBy(
            'scrip_telemetry_item',
            'scrip_telemetry_dropped_total',
          ),
        },
      },
    ],
  },
};
