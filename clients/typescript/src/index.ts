/** Client of the Scrip credit billing service. */

export type { Atomic, AtomicMutation, AtomicResponses } from './atomic.ts';
export type { CallOptions } from './call-options.ts';
export type { TlsOptions } from './channel.ts';
export { type ConnectOptions, connect, type Scrip } from './connect.ts';
export type { FollowEventsOptions, FollowedEvent } from './follow-events.ts';
export * from './gen/billing/v1/account_service.ts';
export * from './gen/billing/v1/billing_service.ts';
export * from './gen/billing/v1/event_service.ts';
export * from './gen/billing/v1/ledger.ts';
export * from './gen/billing/v1/operator_service.ts';
export * from './gen/billing/v1/plan_service.ts';
export * from './gen/billing/v1/pricing.ts';
export * from './gen/billing/v1/statement_service.ts';
export * from './gen/reasons.ts';
export type { FollowOptions, HistoryOptions } from './history.ts';
export { Metadata } from './metadata.ts';
export type { Meter, MeterOptions, MeterTotals } from './meter/meter.ts';
export type { DeepPartial } from './method.ts';
export type { Amount } from './reservation/amount.ts';
export { type FileJournal, openJournal } from './reservation/file-journal.ts';
export { ReservationLost } from './reservation/heartbeat.ts';
export type { Job, Settlement, Used } from './reservation/job.ts';
export type { Journal } from './reservation/journal.ts';
export type { JournalRecord } from './reservation/journal-record.ts';
export type { RecoveredJob, Recovery } from './reservation/recover.ts';
export {
  ChargeRefused,
  type JobOutcome,
  type ReservationOptions,
  type UnreservedRun,
} from './reservation/with-reservation.ts';
export { type Outcome, ScripError, type Violation } from './scrip-error.ts';
export type { Token } from './token.ts';
