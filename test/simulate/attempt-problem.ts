/** Whether a request gets its outcome on an account as it is, and what its entry says of the model's choices. */
import { Bucket_Kind, type Entry } from '../../src/gen/billing/v1/ledger.ts';
import { decide } from './model/decide.ts';
import type { Deciding } from './model/deciding.ts';
import { Refusal } from './model/refusal.ts';
import type { Request } from './model/requests.ts';
import { type AccountState, type Author, mergeParts, OVERAGE, type Part } from './model/state.ts';
import type { Attempt } from './observations.ts';
import { attemptTo, outcomeProblem } from './outcome-problem.ts';
import { CALLER, onBehalfOf } from './replicas.ts';
import { bodyOf } from './request-keys.ts';

const authorOf = ({ requestId }: { readonly requestId: string }): Author => ({
  caller: CALLER,
  requestId,
  onBehalfOf: onBehalfOf(requestId),
});

export const decidingOf = (
  entry: Entry,
  now: number,
  importedIds: readonly string[],
): Deciding => ({
  now,
  loadedAt: now,
  author: authorOf(entry),
  reservationId: entry.reservationId,
  purchaseId: entry.purchaseId,
  importedIds,
  takenOfHeld: takenOfHeld(entry),
});

/** Deciding a request in shadow mode, where nobody sees which grants a commit took. */
export const requestDeciding = (
  { value }: Request,
  now: number,
  reservationId: string,
): Deciding => ({
  ...{ now, loadedAt: now, author: authorOf(value), reservationId, purchaseId: '' },
  ...{ importedIds: [], takenOfHeld: null },
});

/** What an entry took out of reserved buckets: also held overage that grants pay in place of. */
const takenOfHeld = ({ moves }: Entry): readonly Part[] =>
  mergeParts(
    moves.flatMap(({ from, credits }) => {
      if (from?.kind === Bucket_Kind.GRANT_RESERVED) return [{ grantId: from.grantId, credits }];
      return from?.kind === Bucket_Kind.OVERAGE_RESERVED ? [{ grantId: OVERAGE, credits }] : [];
    }),
  );

/** What is wrong with an outcome without an effect. */
export function attemptProblem(
  state: AccountState,
  attempt: Attempt,
  now: number,
  loadedAt: number,
): string {
  const { request, outcome } = attempt;
  const trying = (one: Request, id: string) => tryingOf(one, { now, loadedAt }, id);
  if (outcome.kind === 'refusal')
    for (const [index, before] of requestsBefore(attempt).entries()) {
      const made = attemptTo(() => decide(state, before, trying(before, `trial-${index}`)));
      if (made instanceof Error) return `the model says: ${made.message}`;
      // Fields are looked at before the account is.
      if (made instanceof Refusal && outcome.reason !== 'INVALID_FIELD')
        return `${bodyOf(before)} must be refused with ${made.reason}`;
    }
  const expected = attemptTo(() => decide(state, request, trying(request, '')));
  return outcomeProblem(outcome, expected);
}

/** The requests of an atomic batch that are decided before this one. */
const requestsBefore = ({ request, together = [request] }: Attempt): readonly Request[] =>
  together.slice(0, together.indexOf(request));

/** What is decided to see what would come of it: an id of what it makes is not known. */
const tryingOf = (
  { value }: Request,
  moment: Pick<Deciding, 'now' | 'loadedAt'>,
  id: string,
): Deciding => ({
  ...moment,
  author: authorOf(value),
  reservationId: id,
  purchaseId: id,
  importedIds: [],
  takenOfHeld: null,
});
