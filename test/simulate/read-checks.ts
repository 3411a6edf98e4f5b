/** What must be right of a read. */
import type {
  EstimateResponse,
  ListEntriesResponse,
} from '../../src/gen/billing/v1/billing_service.ts';
import type { BucketBalance } from '../../src/gen/billing/v1/ledger.ts';
import type { PackOffer } from '../../src/gen/billing/v1/pricing.ts';
import { differences } from './compare.ts';
import { entryProblem } from './entry-problem.ts';
import { compareOffers, expectRead, offersFor, ownFields } from './expected-reads.ts';
import type { EntriesPage } from './model/history.ts';
import type { Refusal } from './model/refusal.ts';
import type { AccountState, ModelEntry } from './model/state.ts';
import type { Read } from './observations.ts';
import { answerProblem, attemptTo, outcomeProblem } from './outcome-problem.ts';
import { PLANS } from './plans.ts';

/** What is wrong on the account at a time; empty if it is right. */
type ReadCheck = (state: AccountState, now: number) => string;

/**
 * What must be right of a read at some moment: all of it. A list is read piece by piece, so each of its items
 * must be right at a moment of its own. A grant that is made while grants are listed is listed as it is stored.
 */
export function readChecks({ spec, subject, outcome }: Read): readonly ReadCheck[] {
  const expectedOn = (state: AccountState, now: number) =>
    attemptTo(() => expectRead(state, spec, subject, now));
  if (outcome.kind !== 'answer')
    return [(state, now) => outcomeProblem(outcome, expectedOn(state, now))];
  const { answer } = outcome;
  if (spec.read === 'past balance')
    return [
      (state, now) => answerProblem(othersSorted(answer), othersSorted(expectedOn(state, now))),
    ];
  if (spec.read === 'entries')
    return [(state, now) => pageProblem(answer as ListEntriesResponse, expectedOn(state, now))];
  if ('shortfall' in answer) return estimateChecks(answer as EstimateResponse, expectedOn);
  const items = listOf(answer);
  if ('purchase' in answer)
    return [
      (state, now) => {
        const expected = expectedOn(state, now);
        const purchase = 'purchase' in expected ? (expected.purchase as object) : null;
        return purchase
          ? differences(ownFields(answer.purchase as object), ownFields(purchase))
          : answerProblem(answer, expected);
      },
    ];
  if (!items) return [(state, now) => answerProblem(answer, expectedOn(state, now))];
  return items.map((item) => (state, now) => {
    const same = listOf(expectedOn(state, now))?.find((other) => idOf(other) === idOf(item));
    return same
      ? differences(ownFields(item), ownFields(same))
      : `${idOf(item)} must not be listed`;
  });
}

/** A past balance with the buckets that are of no grant in one order, which the contract leaves open. */
function othersSorted<Answer extends object>(answer: Answer): Answer {
  if (!('buckets' in answer)) return answer;
  const buckets = answer.buckets as readonly BucketBalance[];
  const kindOf = ({ bucket }: BucketBalance) => bucket?.kind ?? 0;
  const isOfGrant = ({ bucket }: BucketBalance) => bucket?.grantId !== 0n;
  const others = buckets.filter((one) => !isOfGrant(one));
  const sorted = others.toSorted((a, b) => kindOf(a) - kindOf(b));
  return { ...answer, buckets: [...buckets.filter(isOfGrant), ...sorted] };
}

/** A page of entries, as the model has them; whether there are more. */
function pageProblem(
  { entries, nextPageToken }: ListEntriesResponse,
  expected: object | Refusal | Error,
): string {
  if (!('entries' in expected)) return answerProblem({ entries }, expected);
  const { entries: own, isLast } = expected as EntriesPage;
  const seqs = (some: readonly { readonly seq: bigint }[]) => some.map(({ seq }) => seq);
  const problem = differences(
    { seqs: seqs(entries), isLast: nextPageToken === '' },
    { seqs: seqs(own), isLast },
  );
  if (problem) return problem;
  return entries.map((entry, index) => entryProblem(entry, own[index] as ModelEntry)).join('');
}

/** An account's own packs are read after everything else of an estimate, so they may be of a later moment. */
function estimateChecks(
  answer: EstimateResponse,
  expectedOn: (state: AccountState, now: number) => object,
): readonly ReadCheck[] {
  const { packs, shortfall } = answer;
  const own = packs.filter((offer) => !isOfPlan(offer));
  const sorted = packs.toSorted(compareOffers);
  return [
    (state, now) => {
      const expected = expectedOn(state, now);
      const ofPlan = 'packs' in expected && (expected.packs as PackOffer[]).filter(isOfPlan);
      return answerProblem(
        { ...answer, packs: packs.filter(isOfPlan) },
        ofPlan ? { ...expected, packs: ofPlan } : expected,
      );
    },
    (state) => {
      if (state.seq === 0n) return 'the account does not exist yet';
      const expected = offersFor(state, shortfall).filter((offer) => !isOfPlan(offer));
      return answerProblem({ packs: own }, { packs: expected });
    },
    () => answerProblem({ packs }, { packs: sorted }),
  ];
}

/** Whether a plan sells it. No pack that is offered to a single account has the name of one of these. */
const isOfPlan = ({ pack }: Pick<PackOffer, 'pack'>): boolean =>
  PLANS.some(({ packs }) => packs.some(({ packId }) => packId === pack?.packId));

/** The items of a list of grants, reservations, purchases or packs; null for other messages. */
function listOf(message: object): readonly object[] | null {
  // Budgets are read at one moment.
  if ('uses' in message) return null;
  if ('nextPageToken' in message || 'packs' in message)
    for (const value of Object.values(message)) if (Array.isArray(value)) return value;
  return null;
}

const idOf = (item: object): string => {
  const { grantId, reservationId, purchaseId, pack } = item as Record<string, unknown>;
  return String(reservationId ?? purchaseId ?? grantId ?? (pack as { packId: string }).packId);
};
