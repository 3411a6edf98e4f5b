/** What a load consists of, and what came of it. The load is made by a process of its own. */
import { fork } from 'node:child_process';
import { once } from 'node:events';

export type Load = {
  readonly address: string;
  readonly caller: string;
  readonly accountIds: readonly string[];
  readonly connections: number;
  /** Calls in a second, whatever is answered. Null: a call follows each answer, `inFlight` at a time. */
  readonly perSecond: number | null;
  readonly inFlight: number;
  readonly seconds: number;
  readonly deadlineMs: number;
};

export type Outcome = {
  readonly sent: number;
  readonly ok: number;
  readonly overloaded: number;
  readonly late: number;
  /** Of other errors, by their text. */
  readonly others: Readonly<Record<string, number>>;
  /** Of the calls that succeeded. */
  readonly p50Ms: number;
  readonly p99Ms: number;
};

export async function run(load: Load): Promise<Outcome> {
  const child = fork(new URL('load-process.ts', import.meta.url));
  child.send(load);
  const [outcome] = await once(child, 'message');
  await once(child, 'exit');
  return outcome as Outcome;
}
