/** Dashboard "Scrip: ledger": what moved, what waits, and whether it is right. */
import type { DashboardSource } from './panels.ts';

const credits = (label: string): string =>
  `sum by (${label}) (rate(scrip_credits_total[$__rate_interval]))`;

/** Every replica reports the gauges of the whole database. */
const database = (metric: string): string => `max(${metric})`;

export const LEDGER: DashboardSource = {
  uid: 'scrip-ledger',
  title: 'Scrip: ledger',
  description:
    'What moved, what waits, and whether it is right. What each alert means: RUNBOOK.md.',
  rows: {
    'Is it right?': [
      {
        title: 'Disagreements of the newest audit',
        unit: 'none',
        queries: { disagreements: database('scrip_verify_disagreements') },
        redFrom: 1,
      },
      {
        title: 'Last audit without any',
        description: 'How long ago `npm run verify` found the whole ledger right.',
        unit: 's',
        queries: { ago: `time() - ${database('scrip_verify_last_success_seconds')}` },
        redFrom: 26 * 3600,
      },
      {
        title: 'Sweeper: due for',
        unit: 's',
        queries: { lag: database('scrip_sweep_lag_seconds') },
        redFrom: 300,
      },
      {
        title: 'Dead deliveries',
        unit: 'none',
        queries: { DEAD: database('scrip_deliveries{scrip_delivery_state="DEAD"}') },
        redFrom: 1,
      },
    ],
    Credits: [
      {
        title: 'Credits a second by kind of entry',
        unit: 'none',
        queries: { '{{scrip_entry_kind}}': credits('scrip_entry_kind') },
      },
      {
        title: 'Credits a second by plan',
        unit: 'none',
        queries: {
          '{{scrip_plan_id}} {{scrip_entry_kind}}': credits('scrip_plan_id, scrip_entry_kind'),
        },
      },
      {
        title: 'Ten operations with the most credits',
        unit: 'none',
        queries: { '{{scrip_operation}}': `topk(10, ${credits('scrip_operation')})` },
      },
      {
        title: 'Refusals in 10 minutes, by plan and reason',
        unit: 'none',
        queries: { '{{scrip_plan_id}} {{scrip_reason}}': 'scrip:refusals:increase10m > 0' },
      },
    ],
    Reservations: [
      {
        title: 'Reservations that have not ended',
        unit: 'none',
        queries: { active: database('scrip_reservations_active') },
      },
      {
        title: 'Age of the oldest one',
        unit: 's',
        queries: { age: database('scrip_reservations_oldest_age_seconds') },
      },
    ],
    'Purchases and events': [
      {
        title: 'Purchases that are not paid yet',
        unit: 'none',
        queries: { pending: database('scrip_purchases_pending') },
      },
      {
        title: 'Calls of the payment provider by outcome',
        unit: 'reqps',
        queries: {
          '{{scrip_outcome}}':
            'sum by (scrip_outcome) (rate(scrip_provider_duration_seconds_count[$__rate_interval]))',
        },
      },
      {
        title: 'Age of the oldest event without a position',
        unit: 's',
        queries: { age: database('scrip_events_age_seconds') },
      },
      {
        title: 'Deliveries that are not done',
        unit: 'none',
        queries: {
          '{{scrip_delivery_state}}': 'max by (scrip_delivery_state) (scrip_deliveries)',
        },
      },
    ],
    Archive: [
      {
        title: 'Entries in files',
        unit: 'none',
        queries: { entries: database('scrip_archive_entries') },
      },
      {
        title: 'Size of files',
        unit: 'bytes',
        queries: { size: database('scrip_archive_size_bytes') },
      },
      {
        title: 'Since entries last left the database',
        unit: 's',
        queries: { ago: `time() - ${database('scrip_archive_last_finished_seconds')}` },
        redFrom: 35 * 86_400,
      },
      {
        title: 'Since the newest archived month ended',
        unit: 's',
        queries: { age: database('scrip_archive_month_age_seconds') },
      },
      {
        title: 'Files whose entries are still in the database',
        unit: 'none',
        queries: { unfinished: database('scrip_archive_unfinished') },
      },
    ],
  },
};
