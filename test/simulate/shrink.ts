/**
 * Makes a failing trace smaller (delta debugging): it leaves out steps, ever fewer at a time, as long as the
 * rest still fails. A race does not fail every time, so each candidate runs several times.
 */
import type { Step, Trace } from './trace.ts';

/** Runs a trace once; what is wrong, or null. */
export type Try = (trace: Trace) => Promise<string | null>;

export type Shrunk = {
  readonly trace: Trace;
  readonly problem: string;
  /** Runs of the first trace that failed, of those made to find out. */
  readonly failed: number;
  readonly tried: number;
  readonly runs: number;
};

/** Runs that tell how often the trace fails. */
const FIRST_RUNS = 6;
const REPEATS_MAX = 8;

export async function shrink(
  trace: Trace,
  problem: string,
  run: Try,
  until: () => boolean,
): Promise<Shrunk> {
  const search = new Search(trace, problem, run, until);
  return await search.shrink();
}

class Search {
  #trace: Trace;
  #problem: string;
  readonly #run: Try;
  readonly #isOver: () => boolean;
  /** Only the same kind of problem counts: another one may be found on the way. */
  #kind: string;
  #repeats = REPEATS_MAX;
  #runs = 0;

  constructor(trace: Trace, problem: string, run: Try, isOver: () => boolean) {
    this.#trace = trace;
    this.#problem = problem;
    this.#kind = kindOf(problem);
    this.#run = run;
    this.#isOver = isOver;
  }

  async shrink(): Promise<Shrunk> {
    const outcomes = await this.#runSome(this.#trace, FIRST_RUNS);
    const problems = outcomes.filter((outcome) => outcome !== null);
    // A fault can show itself in several ways. If the first does not come again, another will do.
    if (problems[0] && problems.every((problem) => kindOf(problem) !== this.#kind))
      [this.#kind, this.#problem] = [kindOf(problems[0]), problems[0]];
    const failed = problems.filter((problem) => kindOf(problem) === this.#kind).length;
    if (failed > 0) {
      // As many that a trace which fails as often is missed once in twenty times.
      const share = Math.min(failed / FIRST_RUNS, 0.99);
      this.#repeats = Math.min(REPEATS_MAX, Math.ceil(Math.log(0.05) / Math.log(1 - share)));
      await this.#simplify();
      await this.#leaveOut();
    }
    const found = { trace: this.#trace, problem: this.#problem };
    return { ...found, failed, tried: FIRST_RUNS, runs: this.#runs };
  }

  /** One account, one replica, one call at a time: whatever of that still fails. */
  async #simplify() {
    const account = /account-(\d+)/.exec(this.#problem)?.[1];
    if (account !== undefined) await this.#try(onlyOf(this.#trace, Number(account)));
    await this.#try({ ...this.#trace, replicas: 1 });
    await this.#try({ ...this.#trace, width: 1 });
  }

  async #leaveOut() {
    let size = Math.ceil(this.#trace.steps.length / 2);
    while (size >= 1 && !this.#isOver()) {
      let hasShrunk = false;
      // The last steps first: the failure often ends the trace.
      for (let end = this.#trace.steps.length; end > 0 && !this.#isOver(); end -= size) {
        const { steps } = this.#trace;
        const rest = [...steps.slice(0, Math.max(0, end - size)), ...steps.slice(end)];
        if (await this.#try({ ...this.#trace, steps: rest })) hasShrunk = true;
      }
      if (size === 1 && !hasShrunk) return;
      size = size === 1 ? 1 : Math.ceil(size / 2);
    }
  }

  /** Takes the candidate if it fails. */
  async #try(candidate: Trace): Promise<boolean> {
    if (candidate.steps.length === 0) return false;
    const outcomes = await this.#runSome(candidate, this.#repeats);
    const problem = outcomes.find((outcome) => outcome && kindOf(outcome) === this.#kind);
    if (!problem) return false;
    this.#trace = candidate;
    this.#problem = problem;
    return true;
  }

  async #runSome(trace: Trace, times: number): Promise<readonly (string | null)[]> {
    this.#runs += times;
    return await Promise.all(Array.from({ length: times }, () => this.#run(trace)));
  }
}

/** What kind of problem it is: its words, without its figures and data. */
function kindOf(problem: string): string {
  const [, answer] = /answered with .*"reason":"(\w+)"/.exec(problem) ?? [];
  return answer ?? (problem.split('{')[0] ?? '').slice(0, 100).replace(/\d+/g, '');
}

/** The steps of one account, and those that concern all. */
function onlyOf(trace: Trace, account: number): Trace {
  const own = new Set<number>();
  const steps = trace.steps.flatMap((step): readonly Step[] => {
    if (step.kind === 'batch') {
      const items = step.items.filter((item) => item.account === account);
      return items.length > 0 ? [{ ...step, items }] : [];
    }
    if ('account' in step && step.account !== account) return [];
    if (step.kind === 'repeat' && !own.has(step.of)) return [];
    own.add(step.id);
    return [step];
  });
  return { ...trace, steps };
}
