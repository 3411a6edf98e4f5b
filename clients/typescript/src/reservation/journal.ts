/** Where records of jobs are kept, so that another process can finish what a dead one left. */
import type { JournalRecord } from './journal-record.ts';

/** A file (`openJournal`), or functions of the caller over a database of its own. */
export type Journal = {
  /**
   * Resolves when the record outlives this process; `durable`: also the machine. The first record of a job is a
   * `reserve`, and the last one an `end`, after which all of them can be deleted; writes between them may overlap.
   */
  readonly write: (record: JournalRecord, durable: boolean) => Promise<void>;
  /**
   * Gives the records of jobs without `end` whose process has died, those of each job in order. From now on
   * they belong to this process: no other call may give them while it lives.
   */
  readonly takeOver: () => Promise<Iterable<JournalRecord>>;
};
