/**
 * Single flight with a trailing run: work under the same key never runs twice at the same time. A caller
 * that comes during a run does not share its result, as that run may have read its data before the call:
 * all such callers share one more run after it. So any number of repeated webhooks costs two runs.
 */
type Run<Result> = { readonly result: Promise<Result>; trailing: Promise<Result> | null };

export class SingleFlight<Result> {
  readonly #runs = new Map<string, Run<Result>>();

  /** Resolves to the result of a run that starts after this call. */
  run(key: string, work: () => Promise<Result>): Promise<Result> {
    const current = this.#runs.get(key);
    if (!current) return this.#start(key, work);
    current.trailing ??= current.result.catch(() => {}).then(() => this.#start(key, work));
    return current.trailing;
  }

  #start(key: string, work: () => Promise<Result>): Promise<Result> {
    const run: Run<Result> = { result: work(), trailing: null };
    this.#runs.set(key, run);
    const end = () => {
      // A trailing run takes its place.
      if (!run.trailing) this.#runs.delete(key);
    };
    run.result.then(end, end);
    return run.result;
  }
}
