/** The state of one job, with what its journal has of it. */
import { applyRecord, type JobState, startState } from './job-state.ts';
import type { Journal } from './journal.ts';
import type { JournalRecord } from './journal-record.ts';

type Start = Extract<JournalRecord, { type: 'reserve' }>;
type End = Extract<JournalRecord, { type: 'end' }>;

export class JobLog {
  #state: JobState;
  readonly #writes = new Set<Promise<void>>();
  readonly #journal: Journal | undefined;

  constructor(state: JobState, journal: Journal | undefined) {
    this.#state = state;
    this.#journal = journal;
  }

  /** Rejects if the journal cannot be written: then nothing has begun. */
  static async start(record: Start, journal: Journal | undefined): Promise<JobLog> {
    const log = new JobLog(startState(record), journal);
    try {
      await journal?.write(record, false);
    } catch (error) {
      await log.end({ type: 'end', job: record.job, outcome: 'released', charged: '0' });
      throw error;
    }
    return log;
  }

  get state(): JobState {
    return this.#state;
  }

  get isJournalled(): boolean {
    return this.#journal !== undefined;
  }

  /** Rejects if the record cannot be kept. */
  async require(record: JournalRecord): Promise<void> {
    await this.#write(record, true);
  }

  /**
   * For a decision to charge work that is done. A journal that cannot be written does not undo the work: the
   * charge goes on, and the next job learns of the journal.
   */
  async decide(record: JournalRecord): Promise<void> {
    await this.require(record).catch(() => {});
  }

  /** For what can be learned again by a repeated call. */
  note(record: JournalRecord): void {
    this.#write(record, false).catch(() => {});
  }

  /** Nothing is left to do. Resolves when the journal has it, or could not be written. */
  async end(record: End): Promise<void> {
    await Promise.allSettled(this.#writes);
    await this.#write(record, false).catch(() => {});
  }

  async #write(record: JournalRecord, durable: boolean): Promise<void> {
    this.#state = applyRecord(this.#state, record);
    if (!this.#journal) return;
    const write = this.#journal.write(record, durable);
    this.#writes.add(write);
    try {
      await write;
    } finally {
      this.#writes.delete(write);
    }
  }
}
