/**
 * When each alert fires, and when it does not: series as promtool reads them, a sample a minute from minute 0 on.
 * `0+5x10` counts up by 5 ten times, `0x10` repeats 0 ten more times, `_x10` is no sample ten times.
 */

export type Firing = {
  /** Beside those of the rule. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly summary: string;
};

export type AlertCase = {
  readonly alert: string;
  readonly situation: string;
  readonly series: Readonly<Record<string, string>>;
  readonly minute: number;
  /** How often the rules are evaluated; every minute if it is not stated. */
  readonly evaluation?: string;
  /** Empty: it does not fire. */
  readonly firing: readonly Firing[];
};

const isUp = { 'scrip_lane_queue{job="scrip",instance="a"}': '0x2000' };
const refusals = (reason: string, plan = 'verts', instance = 'a'): string =>
  `scrip_refusals_total{scrip_reason="${reason}",scrip_plan_id="${plan}",rpc_method="billing.v1.BillingService/Charge",instance="${instance}"}`;

export const ALERT_CASES: readonly AlertCase[] = [
  {
    alert: 'MetricsMissing',
    situation: 'no replica has reported for longer than 3 minutes',
    series: { 'scrip_lane_queue{instance="a"}': '0x10 _x20' },
    minute: 25,
    firing: [{ summary: 'no replica reports metrics' }],
  },
  {
    alert: 'MetricsMissing',
    situation: 'one of two replicas is gone',
    series: {
      'scrip_lane_queue{instance="a"}': '0x10 _x20',
      'scrip_lane_queue{instance="b"}': '0x30',
    },
    minute: 25,
    firing: [],
  },

  {
    alert: 'DatabaseUnavailable',
    situation: 'calls fail for longer than 3 minutes',
    series: {
      ...isUp,
      scrip_reservations_active: '5x30',
      [refusals('DATABASE_UNAVAILABLE')]: '0x10 0+60x10',
    },
    minute: 16,
    firing: [{ summary: 'the database does not answer' }],
  },
  {
    alert: 'DatabaseUnavailable',
    situation: 'there are no calls, and the gauges of the ledger cannot be read',
    series: { ...isUp, scrip_reservations_active: '5x10 _x30' },
    minute: 30,
    firing: [{ summary: 'the database does not answer' }],
  },
  {
    alert: 'DatabaseUnavailable',
    situation: 'the database restarted within a minute',
    series: {
      ...isUp,
      scrip_reservations_active: '5x30',
      [refusals('DATABASE_UNAVAILABLE')]: '0x10 600x20',
    },
    minute: 14,
    firing: [],
  },
  {
    alert: 'DatabaseUnavailable',
    situation: 'calls are refused for another reason',
    series: { ...isUp, scrip_reservations_active: '5x30', [refusals('OVERLOADED')]: '0+60x30' },
    minute: 20,
    firing: [],
  },

  {
    alert: 'LedgerDisagrees',
    situation: 'the newest audit found one disagreement',
    series: {
      'scrip_verify_disagreements{instance="a"}': '0x10 1x5',
      'scrip_verify_disagreements{instance="b"}': '0x15',
    },
    minute: 11,
    firing: [{ summary: 'the newest audit found 1 disagreements in the ledger' }],
  },
  {
    alert: 'LedgerDisagrees',
    situation: 'the newest audit found none',
    series: { 'scrip_verify_disagreements{instance="a"}': '1x10 0x10' },
    minute: 15,
    firing: [],
  },

  {
    alert: 'SweeperStalled',
    situation: 'the lag grows beyond 5 minutes',
    series: { 'scrip_sweep_lag_seconds{instance="a"}': '0x10 0+60x20' },
    minute: 22,
    firing: [{ summary: 'an account has been due for 11m 0s and no sweeper settles it' }],
  },
  {
    alert: 'SweeperStalled',
    situation: 'the sweeper is minutes late after the first of the month, and catches up',
    series: { 'scrip_sweep_lag_seconds{instance="a"}': '0x10 400x3 100x10' },
    minute: 20,
    firing: [],
  },

  {
    alert: 'ClockSkew',
    situation: 'one host is behind by more than a second',
    series: {
      'scrip_clock_offset_seconds{instance="a"}': '-1.5x10',
      'scrip_clock_offset_seconds{instance="b"}': '0.01x10',
    },
    minute: 5,
    firing: [
      { labels: { instance: 'a' }, summary: 'clocks of a and of the database differ by 1.5s' },
    ],
  },
  {
    alert: 'ClockSkew',
    situation: 'clocks differ by tenths of a second',
    series: { 'scrip_clock_offset_seconds{instance="a"}': '0.4x10' },
    minute: 5,
    firing: [],
  },

  {
    alert: 'EventsStalled',
    situation: 'events get no positions',
    series: { 'scrip_events_age_seconds{instance="a"}': '0x5 0+60x20' },
    minute: 15,
    firing: [{ summary: 'an event has waited for its position for 9m 0s' }],
  },
  {
    alert: 'EventsStalled',
    situation: 'events get theirs within seconds',
    series: { 'scrip_events_age_seconds{instance="a"}': '3x20' },
    minute: 15,
    firing: [],
  },

  {
    alert: 'DeadDeliveries',
    situation: 'deliveries are DEAD',
    series: {
      'scrip_deliveries{scrip_delivery_state="DEAD",instance="a"}': '0x5 3x20',
      'scrip_deliveries{scrip_delivery_state="DEAD",instance="b"}': '0x5 3x20',
    },
    minute: 15,
    firing: [{ summary: '3 deliveries of events are DEAD' }],
  },
  {
    alert: 'DeadDeliveries',
    situation: 'deliveries are pending',
    series: {
      'scrip_deliveries{scrip_delivery_state="PENDING",instance="a"}': '100x20',
      'scrip_deliveries{scrip_delivery_state="DEAD",instance="a"}': '0x20',
    },
    minute: 15,
    firing: [],
  },

  {
    alert: 'PoolExhausted',
    situation: 'work of one replica waits all the time',
    series: {
      'db_client_connection_pending_requests{job="scrip",instance="a"}': '4x20',
      'db_client_connection_pending_requests{job="scrip",instance="b"}': '0x20',
    },
    minute: 12,
    firing: [
      {
        labels: { instance: 'a' },
        summary: 'work on a waits for a database connection all the time',
      },
    ],
  },
  {
    alert: 'PoolExhausted',
    situation: 'work waits now and then',
    series: {
      'db_client_connection_pending_requests{job="scrip",instance="a"}':
        '9 0 9 9 0 9 9 0 9 9 0 9 9 0 9 9',
    },
    minute: 13,
    firing: [],
  },
  {
    alert: 'PoolExhausted',
    situation: 'work of another service waits',
    series: { 'db_client_connection_pending_requests{job="other",instance="a"}': '4x20' },
    minute: 12,
    firing: [],
  },

  {
    alert: 'StuckReservations',
    situation: 'a reservation is older than 25 hours',
    series: { 'scrip_reservations_oldest_age_seconds{instance="a"}': '93600x30' },
    minute: 15,
    firing: [{ summary: 'a reservation is 1d 2h 0m 0s old and has not ended' }],
  },
  {
    alert: 'StuckReservations',
    situation: 'the oldest runs for most of a day, as plans allow',
    series: { 'scrip_reservations_oldest_age_seconds{instance="a"}': '82800x30' },
    minute: 15,
    firing: [],
  },

  {
    alert: 'VerifyStale',
    situation: 'the last audit without disagreements is older than 26 hours',
    series: { ...isUp, 'scrip_verify_last_success_seconds{instance="a"}': '0x1700' },
    minute: 27 * 60,
    evaluation: '10m',
    firing: [
      {
        labels: { audit: 'late' },
        summary: 'no audit has found the whole ledger right for 1d 3h 0m 0s',
      },
    ],
  },
  {
    alert: 'VerifyStale',
    situation: 'there has been none for 26 hours',
    series: isUp,
    minute: 27 * 60,
    evaluation: '10m',
    firing: [
      {
        labels: { audit: 'never' },
        summary: 'no audit has found the whole ledger right since metrics are kept',
      },
    ],
  },
  {
    alert: 'VerifyStale',
    situation: 'the audit ran in the night, and the service is new',
    series: { ...isUp, 'scrip_verify_last_success_seconds{instance="a"}': '_x600 36000x1100' },
    minute: 27 * 60,
    evaluation: '10m',
    firing: [],
  },

  {
    alert: 'ArchiveUnfinished',
    situation: 'a run has failed, and there was no other for 6 hours',
    series: { 'scrip_archive_unfinished{instance="a"}': '0x10 1x500' },
    minute: 380,
    firing: [{ summary: 'entries of 1 files of the archive are still in the database' }],
  },
  {
    alert: 'ArchiveUnfinished',
    situation: 'a run works on one file after the other, and is done',
    series: { 'scrip_archive_unfinished{instance="a"}': '0x10 1x100 0x400' },
    minute: 380,
    firing: [],
  },

  {
    alert: 'ArchiveStale',
    situation: 'the newest file of one cell is older than 35 days',
    series: {
      'scrip_archive_last_finished_seconds{instance="a",scrip_cell="eu-1"}': '0x52000',
      'scrip_archive_last_finished_seconds{instance="a",scrip_cell="eu-2"}': '2592000x52000',
    },
    minute: 36 * 24 * 60,
    evaluation: '30m',
    firing: [{ labels: { scrip_cell: 'eu-1' }, summary: 'nothing was archived for 36d 0h 0m 0s' }],
  },
  {
    alert: 'ArchiveStale',
    situation: 'nothing was ever archived',
    series: isUp,
    minute: 20,
    firing: [],
  },

  {
    alert: 'TelemetryDropped',
    situation: 'a replica loses spans',
    series: {
      'scrip_telemetry_dropped_total{scrip_telemetry_item="spans",instance="a"}': '0x10 0+10x20',
      'scrip_telemetry_dropped_total{scrip_telemetry_item="spans",instance="b"}': '7x30',
    },
    minute: 20,
    firing: [
      { labels: { instance: 'a', scrip_telemetry_item: 'spans' }, summary: 'a drops spans' },
    ],
  },
  {
    alert: 'TelemetryDropped',
    situation: 'a replica lost some spans an hour ago',
    series: {
      'scrip_telemetry_dropped_total{scrip_telemetry_item="spans",instance="a"}': '0x10 50x80',
    },
    minute: 80,
    firing: [],
  },

  {
    alert: 'RefusalsJump',
    situation: 'six times as many as the day before, on two replicas',
    series: {
      [refusals('INSUFFICIENT_CREDITS')]: '0+1x1500 1500+6x30',
      [refusals('INSUFFICIENT_CREDITS', 'verts', 'b')]: '0+1x1500 1500+6x30',
      [refusals('INSUFFICIENT_CREDITS', 'perfectparser')]: '0+3x1530',
    },
    minute: 1520,
    evaluation: '5m',
    firing: [
      {
        labels: { scrip_plan_id: 'verts', scrip_reason: 'INSUFFICIENT_CREDITS' },
        summary: '120 calls of plan verts were refused with INSUFFICIENT_CREDITS in 10 minutes',
      },
    ],
  },
  {
    alert: 'RefusalsJump',
    situation: 'a reason is seen for the first time, and its counter with it',
    series: { [refusals('RESERVATION_EXPIRED')]: '_x60 40x30' },
    minute: 65,
    firing: [
      {
        labels: { scrip_plan_id: 'verts', scrip_reason: 'RESERVATION_EXPIRED' },
        summary: '40 calls of plan verts were refused with RESERVATION_EXPIRED in 10 minutes',
      },
    ],
  },
  {
    alert: 'RefusalsJump',
    situation: 'as many as the day before',
    series: { [refusals('INSUFFICIENT_CREDITS')]: '0+30x1530' },
    minute: 1520,
    evaluation: '5m',
    firing: [],
  },
  {
    alert: 'RefusalsJump',
    situation: 'a few, where there were none',
    series: { [refusals('EXCEEDS_RESERVATION')]: '_x60 5x30' },
    minute: 65,
    firing: [],
  },
  {
    alert: 'RefusalsJump',
    situation: 'a reason that has an alert of its own',
    series: { [refusals('OVERLOADED')]: '0x60 0+100x30' },
    minute: 75,
    firing: [],
  },
  {
    alert: 'RefusalsJump',
    situation: 'operators who look for charges that there are not',
    series: { [refusals('CHARGE_NOT_FOUND', '')]: '_x60 60x30' },
    minute: 65,
    firing: [],
  },
];
