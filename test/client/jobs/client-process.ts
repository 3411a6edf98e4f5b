/** The client process of a run, and what it has told. It is started again where the killed one stopped. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromLine } from '../../../clients/typescript/src/reservation/journal-record.ts';
import { type Program, startProgram } from '../../process/replica.ts';
import { numberOf } from './job-plan.ts';
import type { Line } from './worker.ts';

export type Told = {
  /** The first number that has not been started. */
  next: number;
  /** Jobs whose promise resolved, with what they were told to be charged; null while that is not settled. */
  readonly done: Map<number, bigint | null>;
  readonly pending: Set<number>;
  readonly failed: Set<number>;
  readonly refused: Map<number, string>;
  /** Jobs that another process finished, with their outcome. */
  readonly recovered: Map<number, string>;
  /** Jobs whose charge was decided in the journal of a process when it died. */
  readonly decided: Set<number>;
  /** Errors of calls that were not repeated. */
  readonly probed: Map<string, number>;
  readonly problems: string[];
};

export class ClientProcess {
  readonly told: Told = {
    next: 0,
    done: new Map(),
    pending: new Set(),
    failed: new Set(),
    refused: new Map(),
    recovered: new Map(),
    decided: new Set(),
    probed: new Map(),
    problems: [],
  };
  readonly #addresses: string;
  readonly #directory: string;
  readonly #jobs: number;
  readonly #concurrency: number;
  #program: Program | null = null;

  constructor(addresses: string, directory: string, jobs: number, concurrency: number) {
    this.#addresses = addresses;
    this.#directory = directory;
    this.#jobs = jobs;
    this.#concurrency = concurrency;
  }

  start() {
    const { next } = this.told;
    const args = [this.#addresses, this.#directory, next, this.#jobs, this.#concurrency];
    this.#program = startProgram(['test/client/jobs/worker.ts', ...args.map(String)], {});
    let rest = '';
    this.#program.process.stdout?.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#hear(JSON.parse(line));
    });
  }

  /** Resolves when everything it had told has been heard. */
  async kill() {
    this.#program?.process.kill('SIGKILL');
    await this.ended();
    this.#readJournals();
  }

  /** Resolves when the process has ended, by itself or killed. */
  async ended() {
    const ended = await this.#program?.ended;
    this.#program = null;
    if (ended && ended.code !== 0 && ended.signal !== 'SIGKILL')
      this.told.problems.push(`the client ended with ${ended.code}: ${ended.stderr}`);
    else if (ended?.stderr) this.told.problems.push(`the client said: ${ended.stderr}`);
  }

  #hear(line: Line) {
    const { done, pending, failed, refused, recovered, problems } = this.told;
    switch (line.is) {
      case 'started':
        this.told.next = line.job + 1;
        break;
      case 'done':
        done.set(line.job, line.settlement === 'settled' ? BigInt(line.charged) : null);
        if (line.settlement !== 'settled') pending.add(line.job);
        break;
      case 'settled':
        done.set(line.job, BigInt(line.charged));
        break;
      case 'failed':
        failed.add(line.job);
        break;
      case 'error':
        refused.set(line.job, line.reason || line.message);
        break;
      case 'recovered':
        recovered.set(numberOf(line.reference), line.outcome);
        if (line.outcome === 'refused')
          problems.push(`recover: ${line.reference} was refused: ${line.reason}`);
        break;
      case 'probed':
        this.told.probed.set(line.error, (this.told.probed.get(line.error) ?? 0) + 1);
        break;
      case 'pending':
        problems.push(`recover: ${line.jobs} jobs are not finished`);
    }
  }

  #readJournals() {
    for (const file of readdirSync(this.#directory)) {
      if (!file.endsWith('.journal')) continue;
      const numbers = new Map<string, number>();
      for (const line of readFileSync(join(this.#directory, file), 'utf8').split('\n')) {
        const record = fromLine(line);
        if (record?.type === 'reserve') numbers.set(record.job, numberOf(record.reference));
        const number = record && numbers.get(record.job);
        if (record?.type === 'commit' && number !== undefined && number !== null)
          this.told.decided.add(number);
      }
    }
  }
}
