/** One reservation that a meter spends from. All numbers are units: what `tryUse` counts. */
import type { MeteredUsage } from './metered-usage.ts';

export type ReservedTerms = {
  readonly reservationId: string;
  readonly units: number;
  /** When it ends at the earliest if it is not extended, by the clock of the caller, in milliseconds. */
  readonly expiresAt: number;
  /** How long it lasts from when it is made or extended. */
  readonly ttlMs: number;
  /** What its units are to the service. */
  readonly usage: MeteredUsage;
};

/** A tenth of its time before its end it allows nothing more, so that what it allowed is reported in time. */
const MARGIN = 0.1;
/** It is extended when half of its time is left. */
const EXTEND_AT = 0.5;

export class MeteredReservation {
  readonly reservationId: string;
  readonly units: number;
  readonly ttlMs: number;
  readonly usage: MeteredUsage;
  /** Units that it can still allow. */
  left: number;
  /** From then on it allows nothing. */
  until = 0;
  /** When it is to be extended. */
  extendAt = 0;
  /** When what it allowed is to be reported. */
  reportAt: number;
  /** Units that were committed. */
  reported = 0;
  /** Units of the commit that has not been answered; null: there is none. */
  reporting: number | null = null;
  isExtending = false;
  /** The service will commit nothing of it any more. */
  isGone = false;

  constructor({ reservationId, units, expiresAt, ttlMs, usage }: ReservedTerms, reportAt: number) {
    this.reservationId = reservationId;
    this.units = units;
    this.left = units;
    this.ttlMs = ttlMs;
    this.usage = usage;
    this.reportAt = reportAt;
    this.lastsUntil(expiresAt);
  }

  lastsUntil(expiresAt: number) {
    this.until = expiresAt - this.ttlMs * MARGIN;
    this.extendAt = expiresAt - this.ttlMs * EXTEND_AT;
  }

  /** Units that it has allowed. */
  get allowed(): number {
    return this.units - this.left;
  }

  /** Units that it has allowed, and that no commit has in it. */
  get unreported(): number {
    return this.allowed - this.reported - (this.reporting ?? 0);
  }
}
