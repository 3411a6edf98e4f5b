/**
 * Mutations by which an account leaves its plan. A month that has ended is priced by the plan of its end, so it gets its
 * statement before a Batch has one of them.
 */
import type { Failure } from '../../failure.ts';
import { forEachConcurrently } from '../../for-each-concurrently.ts';
import type { Mutation } from '../../gen/billing/v1/billing_service.ts';
import { failureOf } from '../call/failure-of.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { UnaryCall } from '../call/handlers.ts';
import { serveInCell } from '../call/in-cell.ts';
import type { ServiceContext } from '../service-context.ts';

type SetMutation = NonNullable<Mutation['mutation']>;

const METHODS = new Map<SetMutation['$case'], 'MoveAccount' | 'CloseAccount'>([
  ['moveAccount', 'MoveAccount'],
  ['closeAccount', 'CloseAccount'],
]);

/** Accounts whose months are closed at the same time. */
const CONCURRENCY = 4;

/** What keeps such mutations from being made, by account. */
export type UnclosedMonths = ReadonlyMap<string, Failure>;

export const whyNotLeft = (unclosed: UnclosedMonths, { $case, value }: SetMutation) =>
  METHODS.has($case) ? (unclosed.get(value.accountId) ?? null) : null;

/**
 * Closes the months of all accounts that the mutations make leave their plans, before the first is made: mutations of
 * one account are applied in their order.
 */
export async function closeMonthsLeft(
  context: ServiceContext,
  mutations: readonly Mutation[],
  { access, record }: UnaryCall,
): Promise<UnclosedMonths> {
  const accountIds = new Set(
    mutations.flatMap(({ mutation }) => {
      const method = mutation && METHODS.get(mutation.$case);
      if (!method) return [];
      const { accountId } = mutation.value;
      const check = new FieldChecker();
      check.accountId(accountId);
      const isAllowed = context.authorization.allows(access, method, accountId);
      return isAllowed && !check.failure() ? [accountId] : [];
    }),
  );
  const unclosed = new Map<string, Failure>();
  await forEachConcurrently(accountIds, CONCURRENCY, null, async (accountId) => {
    try {
      await serveInCell(context, accountId, ({ statementCloser }) =>
        statementCloser.close(accountId, record),
      );
    } catch (error) {
      unclosed.set(accountId, failureOf(error, context, record));
    }
  });
  return unclosed;
}
