/** A reader of one account's history that stays behind no fault: it resumes where it was, on the next replica. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Scrip, ScripError } from '../../src/client.ts';

const RESUME_MS = 100;
/** Ends a stream that a replica which stands still neither serves nor ends. */
const STREAM_MS = 5_000;

export class Follower {
  readonly accountId: string;
  readonly #replicas: readonly Scrip[];
  /** The hash of each entry that it has, by seq. */
  readonly hashes = new Map<bigint, string>();
  /** How often it was told that its position is lost. */
  losses = 0;
  readonly problems: string[] = [];
  #isStopped = false;
  #stream: AsyncGenerator<unknown> | null = null;
  #following: Promise<void> = Promise.resolve();

  constructor(accountId: string, replicas: readonly Scrip[]) {
    this.accountId = accountId;
    this.#replicas = replicas;
  }

  start() {
    this.#following = this.#follow();
  }

  get newest(): bigint {
    return BigInt(this.hashes.size);
  }

  async stop() {
    this.#isStopped = true;
    await this.#stream?.return(undefined);
    await this.#following;
  }

  async #follow() {
    for (let turn = 0; !this.#isStopped; turn++)
      try {
        await this.#read(this.#replicas[turn % this.#replicas.length] as Scrip);
      } catch (error) {
        if (!(error instanceof ScripError)) throw error;
        if (error.reason === 'POSITION_LOST') {
          this.losses++;
          this.hashes.clear();
        }
        await sleep(RESUME_MS);
      }
  }

  /** Overlaps by one entry, whose hash tells whether the history is still the same one. */
  async #read({ billing }: Scrip) {
    const known = this.newest;
    const request = {
      accountId: this.accountId,
      afterSeq: known > 0n ? known - 1n : 0n,
      follow: true,
    };
    const stream = billing.streamHistory(request, { deadline: Date.now() + STREAM_MS });
    this.#stream = stream;
    for await (const { entries } of stream)
      for (const { seq, hash } of entries) {
        const text = Buffer.from(hash).toString('hex');
        if (seq === known && this.hashes.get(seq) !== text) {
          this.losses++;
          this.hashes.clear();
          return;
        }
        if (seq !== known && seq !== this.newest + 1n)
          this.problems.push(`a follower that had ${this.newest} entries received entry ${seq}`);
        this.hashes.set(seq, text);
      }
  }
}
