/**
 * Which of an account's unspent credits its plan can use. A limited grant pays for its operations only, so
 * a large balance can leave most operations without a credit. Low balance and auto top-up count what every
 * priced operation can use.
 */
import type { Plan } from '../pricing/plan.ts';
import { type Account, availableCredits } from './account.ts';
import { canPay } from './allocation/waterfall.ts';
import type { Book } from './book.ts';
import type { Trace } from './entry.ts';
import { type Grant, grantAvailable, isLimited } from './grant.ts';

/** Whether the rate card in force charges credits for the operation. */
const isPriced = ({ rateCard }: Plan, operation: string): boolean =>
  rateCard.operations.get(operation)?.billable === true;

/** What is available without limited credits: of general grants, less reserved overage. */
export const generalAvailable = (account: Account, grants: readonly Grant[]): bigint =>
  grants.reduce(
    (rest, grant) => (isLimited(grant) ? rest - grantAvailable(grant) : rest),
    availableCredits(account),
  );

/** Whether the grant is limited to operations that the rate card in force has no price for. */
export const isStranded = (grant: Grant, plan: Plan): boolean =>
  isLimited(grant) && !grant.operations.some((operation) => isPriced(plan, operation));

/**
 * Unspent credits that every priced operation can use: of all priced operations, the credits of the one that
 * can use the fewest. Credits that reservations hold are included. All limited grants must be among `grants`.
 */
export const usableCredits = (
  { remaining }: Account,
  grants: readonly Grant[],
  plan: Plan,
): bigint => leastOfAnyOperation(remaining, grants, plan, (grant) => grant.remaining);

/** The amounts of the grants whose unspent credits are `usableCredits`. */
export const grantedCredits = (
  { granted }: Account,
  grants: readonly Grant[],
  plan: Plan,
): bigint =>
  leastOfAnyOperation(granted, grants, plan, ({ remaining, amount }) =>
    remaining > 0n ? amount : 0n,
  );

/** The least that a priced operation has of a total over all grants. Without one: what is not limited. */
function leastOfAnyOperation(
  total: bigint,
  grants: readonly Grant[],
  { rateCard }: Plan,
  creditsOf: (grant: Grant) => bigint,
): bigint {
  if (!grants.some(isLimited)) return total;
  const limited = grants.filter(isLimited);
  const general = limited.reduce((rest, grant) => rest - creditsOf(grant), total);
  let least: bigint | null = null;
  for (const { operation, billable } of rateCard.operations.values()) {
    if (!billable) continue;
    const sum = limited.reduce(
      (sum, grant) => (canPay(grant, operation) ? sum + creditsOf(grant) : sum),
      general,
    );
    if (sum === general) return general;
    if (least === null || sum < least) least = sum;
  }
  return least ?? general;
}

/**
 * Updates which grants are stranded, and emits grant.stranded for each that has become so. Called after
 * settling and after each command: prices change by time, by publication and by MoveAccount.
 */
export function updateStranded(book: Book, trace: Trace) {
  if (!book.hasLimitedGrants) return;
  for (const grant of book.grants) {
    if (grant.remaining === 0n) continue;
    const stranded = isStranded(grant, book.plan);
    if (stranded === grant.stranded) continue;
    grant.stranded = stranded;
    book.changes.grants.markChanged(grant);
    if (stranded) emitStranded(book, grant, trace);
  }
}

function emitStranded(book: Book, grant: Grant, trace: Trace) {
  book.emitEvent(
    'grant.stranded',
    {
      grant_id: grant.grantId.toString(),
      remaining: grant.remaining.toString(),
      operations: grant.operations.join(','),
      category: grant.category,
    },
    trace,
  );
}
