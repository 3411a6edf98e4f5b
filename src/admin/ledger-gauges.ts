/** The gauges that only the database knows: read on an interval of their own, however often they are asked for. */
import type { Logger } from 'pino';
import type { Clock } from '../clock/clock.ts';
import type { Em } from '../pg/orm.ts';
import { Poller } from '../poller.ts';
import { type ArchiveFigures, readArchiveFigures } from '../queries/archive-figures.ts';
import { type LedgerFigures, readLedgerFigures } from '../queries/ledger-figures.ts';
import type { Instruments } from '../telemetry/instruments.ts';
import { COUNTED_MAX } from '../telemetry/metrics.ts';

export type LedgerGaugesOptions = {
  /** Null: there is one. */
  readonly cell: string | null;
  readonly em: () => Em;
  readonly clock: Clock;
  /** A monotonic time in milliseconds. */
  readonly monotonic: () => number;
  readonly log: Logger;
  readonly intervalMs: number;
  readonly instruments: Instruments;
};

/** The gauges that have one value. */
type OneFigure =
  | 'scrip.reservations.active'
  | 'scrip.reservations.oldest.age'
  | 'scrip.sweep.lag'
  | 'scrip.events.age'
  | 'scrip.purchases.pending'
  | 'scrip.verify.disagreements'
  | 'scrip.verify.last.success'
  | 'scrip.archive.entries'
  | 'scrip.archive.size'
  | 'scrip.archive.unfinished'
  | 'scrip.archive.last.finished'
  | 'scrip.archive.month.age';

type Figures = LedgerFigures & { readonly archive: ArchiveFigures };

/** Figures that are older than so many intervals are missing, rather than wrong. */
const INTERVALS_MAX = 3;

export class LedgerGauges {
  readonly #options: LedgerGaugesOptions;
  readonly #poller: Poller;
  /** Of every value. */
  readonly #attributes: { readonly 'scrip.cell'?: string };
  #figures: Figures | null = null;
  #readAt = 0;

  constructor(options: LedgerGaugesOptions) {
    this.#options = options;
    const { cell, intervalMs, log } = options;
    this.#attributes = cell === null ? {} : { 'scrip.cell': cell };
    const run = async () => {
      await this.read();
      return false;
    };
    this.#poller = new Poller({ name: 'reading of gauges', run, intervalMs, log });
    this.#observe();
    this.#poller.wake();
  }

  /** Reads them now, without waiting for the interval. */
  async read(): Promise<void> {
    const { em, monotonic } = this.#options;
    const ledger = await readLedgerFigures(em(), COUNTED_MAX);
    this.#figures = { ...ledger, archive: await readArchiveFigures(em()) };
    this.#readAt = monotonic();
  }

  stop(graceMs: number): Promise<void> {
    return this.#poller.stop(graceMs);
  }

  /** Null: they could not be read lately. */
  get #current(): Figures | null {
    const { monotonic, intervalMs } = this.#options;
    return monotonic() - this.#readAt <= intervalMs * INTERVALS_MAX ? this.#figures : null;
  }

  #observe() {
    const { instruments } = this.#options;
    this.#show('scrip.reservations.active', (figures) => figures.activeReservations);
    this.#show('scrip.reservations.oldest.age', (figures) =>
      this.#age(figures.oldestReservationAt),
    );
    this.#show('scrip.sweep.lag', (figures) => this.#age(figures.nextDueAt));
    this.#show('scrip.events.age', (figures) => this.#age(figures.oldestEventAt));
    this.#show('scrip.purchases.pending', (figures) => figures.pendingPurchases);
    this.#show('scrip.verify.disagreements', (figures) => figures.discrepancies);
    this.#show('scrip.verify.last.success', ({ verifiedAt }) => verifiedAt && verifiedAt / 1_000);
    this.#show('scrip.archive.entries', ({ archive }) => archive.entries);
    this.#show('scrip.archive.size', ({ archive }) => archive.bytes);
    this.#show('scrip.archive.unfinished', ({ archive }) => archive.unfinishedFiles);
    this.#show(
      'scrip.archive.last.finished',
      ({ archive: { finishedAt } }) => finishedAt && finishedAt / 1_000,
    );
    this.#show(
      'scrip.archive.month.age',
      ({ archive: { archivedTo } }) => archivedTo && this.#age(archivedTo),
    );
    instruments['scrip.deliveries'].observe((report) => {
      const figures = this.#current;
      if (!figures) return;
      report(figures.pendingDeliveries, { ...this.#attributes, 'scrip.delivery.state': 'PENDING' });
      report(figures.deadDeliveries, { ...this.#attributes, 'scrip.delivery.state': 'DEAD' });
    });
  }

  /** `read` returns null where there is nothing to show. */
  #show(name: OneFigure, read: (figures: Figures) => number | null) {
    this.#options.instruments[name].observe((report) => {
      const figures = this.#current;
      const value = figures && read(figures);
      if (value !== null) report(value, this.#attributes);
    });
  }

  /** In seconds, at least 0; null while no time can be trusted. */
  #age(at: number | null): number | null {
    if (at === null) return 0;
    const { clock } = this.#options;
    return clock.isReliable ? Math.max(0, (clock.now() - at) / 1_000) : null;
  }
}
