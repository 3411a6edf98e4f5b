/**
 * How many open grants are read of each account: few at first, and more where a command found that it needs
 * more than those.
 */
const FIRST = 2;
const FACTOR = 16;

export class GrantLimits {
  /** Of accounts whose commands need more. */
  readonly #raised = new Map<string, number>();

  of(accountId: string): number {
    return this.#raised.get(accountId) ?? FIRST;
  }

  /** The grants that were read were not enough for a command, which will run again. */
  raise(accountId: string) {
    this.#raised.set(accountId, this.of(accountId) * FACTOR);
  }

  /** The commands of these accounts have run. */
  reset(accountIds: Iterable<string>) {
    if (this.#raised.size > 0) for (const accountId of accountIds) this.#raised.delete(accountId);
  }
}
