/**
 * Imports: what another system kept of an account is written by the first request alone, in one form. OPEN_ACCOUNT
 * says when the account was opened, each GRANT and PURCHASE after it what had become of its credits, oldest first,
 * and IMPORT ends it, with what the month had used and where all that comes from. No other entry says any of it.
 */
import type { Entry, StoredEntry } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Report } from './findings.ts';
import { instant } from './instant.ts';
import { BEFORE_IMPORT, type BucketSums } from './moves.ts';

/** The import that is going on. */
type Running = {
  /** Of its first entry. */
  readonly at: number;
  /** The newest date of its grants up to now. */
  newest: number;
};

export class Imports {
  /** The terms of grants as of the entry that is checked. */
  readonly #grants: ReadonlyMap<bigint, Grant>;
  readonly #sums: BucketSums;
  #running: Running | null = null;

  constructor(grants: ReadonlyMap<bigint, Grant>, sums: BucketSums) {
    this.#grants = grants;
    this.#sums = sums;
  }

  /** Checks the account's next entry, after its moves. */
  apply(entry: StoredEntry, report: Report) {
    const { kind, at, request, details } = entry;
    if (kind === 'OPEN_ACCOUNT') return this.#open(entry, report);
    const running = this.#running;
    if (!running) return this.#checkOther(entry, report);
    if (at !== running.at)
      report(`is of ${instant(at)}, and of an import of ${instant(running.at)}`);
    if (kind === 'IMPORT') return this.#end(entry, report);
    if (request !== null || (kind !== 'GRANT' && kind !== 'PURCHASE')) {
      report(`is a ${kind}, and the import before it has not ended`);
      this.#running = null;
      return;
    }
    this.#checkGrant(entry, running, report);
    if (kind === 'PURCHASE' && details['paid_at'] !== details['effective_at'])
      report(`was paid at ${details['paid_at']}, and granted at ${details['effective_at']}`);
  }

  finish(report: Report) {
    if (this.#running) report('its import has no IMPORT entry');
  }

  #open({ at, request, details }: StoredEntry, report: Report) {
    const { opened_at: openedAt } = details;
    const isImported = request?.method === 'ImportAccount';
    if (isImported !== (openedAt !== undefined))
      report(`says that the account was opened at ${openedAt}, and is of ${request?.method}`);
    if (openedAt !== undefined && !(Date.parse(openedAt) <= at))
      report(`says that the account was opened at ${openedAt}, after it was imported`);
    if (isImported) this.#running = { at, newest: Number.NEGATIVE_INFINITY };
  }

  #checkGrant({ at, grantId, details, usages }: Entry, running: Running, report: Report) {
    const effectiveAt = Date.parse(details['effective_at'] ?? '');
    if (!(effectiveAt <= at))
      report(`imports a grant of ${details['effective_at']}, which is to come`);
    if (effectiveAt < running.newest)
      report(
        `imports a grant of ${details['effective_at']} after one of ${instant(running.newest)}`,
      );
    running.newest = Math.max(running.newest, effectiveAt);
    if (usages.length > 0) report(`says what grant ${grantId} was used for`);
  }

  #end({ details, at }: Entry, report: Report) {
    if (!details['system']) report('does not say from which system it comes');
    for (const { grantId, expiresAt } of this.#grants.values()) {
      const left = this.#sums.of(grantId).available;
      if (expiresAt !== null && expiresAt <= at && left > 0n)
        report(`leaves ${left} credits of grant ${grantId}, which had expired`);
    }
    this.#running = null;
  }

  /** What only imports may say. */
  #checkOther({ kind, moves, details }: Entry, report: Report) {
    if (kind === 'IMPORT') report('is not the end of an import');
    if (kind === 'PURCHASE' && details['paid_at'] !== undefined)
      report(`was paid at ${details['paid_at']}, and is not of an import`);
    if (kind !== 'GRANT' && kind !== 'PURCHASE') return;
    const earlier = moves.find(({ from, to }) =>
      (BEFORE_IMPORT as readonly string[]).includes(`${from} to ${to}`),
    );
    if (earlier) report(`moves credits ${earlier.from} to ${earlier.to}, and is not of an import`);
  }
}
