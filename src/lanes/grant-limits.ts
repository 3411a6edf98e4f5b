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

  /**
   * After a unit of work with these accounts: of those whose commands needed more grants, and will run again,
   * more are read next time; of the others as few as at first.
   */
  update(accountIds: Iterable<string>, needingMore: ReadonlySet<string>) {
    if (this.#raised.size === 0 && needingMore.size === 0) return;
    for (const accountId of accountIds)
      if (needingMore.has(accountId)) this.#raised.set(accountId, this.of(accountId) * FACTOR);
      else this.#raised.delete(accountId);
  }
}
