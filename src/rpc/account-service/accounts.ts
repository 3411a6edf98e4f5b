/** The mutations of AccountService that Batch takes too, by its methods. */
import {
  CloseAccountRequest,
  CloseAccountResponse,
  GrantCreditsRequest,
  GrantCreditsResponse,
  MoveAccountRequest,
  MoveAccountResponse,
  OpenAccountRequest,
  OpenAccountResponse,
  type OwnLimit,
  UpdateAccountRequest,
  UpdateAccountResponse,
} from '../../gen/billing/v1/account_service.ts';
import { Grant_Category } from '../../gen/billing/v1/ledger.ts';
import type { Book } from '../../ledger/book.ts';
import { DEFAULT_PRIORITY } from '../../ledger/grant.ts';
import type { Check } from '../call/field-checker.ts';
import { balance, mutation } from '../call/mutation.ts';
import { accountMessage, grantMessage } from '../messages/ledger.ts';
import { autoTopUpOf } from './auto-top-up.ts';

const account = (book: Book) => accountMessage(book.account, book.plan.terms);

/** The change of a limit that an account can have of its own; nothing where it stays as it is. */
const ownLimit = <Field extends string>(
  field: Field,
  name: string,
  limit: OwnLimit | undefined,
  check: Check,
): { readonly [name in Field]?: bigint | null } => {
  if (!limit) return {};
  const { credits } = limit;
  const own = credits === undefined ? null : check.credits(`${name}.credits`, credits);
  return { [field]: own } as { [name in Field]?: bigint | null };
};

const CATEGORIES: Partial<Record<Grant_Category, 'PAID' | 'PROMOTIONAL' | 'ADJUSTMENT'>> = {
  [Grant_Category.PAID]: 'PAID',
  [Grant_Category.PROMOTIONAL]: 'PROMOTIONAL',
  [Grant_Category.ADJUSTMENT]: 'ADJUSTMENT',
};

const grantCredits = mutation(
  'GrantCredits',
  GrantCreditsRequest,
  GrantCreditsResponse,
  (request, check) => {
    const category = CATEGORIES[request.category];
    if (!category) check.refuse('category', 'must be PAID, PROMOTIONAL or ADJUSTMENT');
    const priority = request.priority ?? DEFAULT_PRIORITY;
    if (priority < 0 || priority > 100) check.refuse('priority', 'must be 0 to 100');
    return {
      kind: 'GrantCredits',
      credits: check.credits('credits', request.credits, 1n),
      category: category ?? 'ADJUSTMENT',
      priority,
      effectiveAt: check.instant('effective_at', request.effectiveAt),
      expiresAt: check.instant('expires_at', request.expiresAt),
      operations: check.operations('operations', request.operations),
      reference: check.text('reference', request.reference, 256),
      labels: check.labels('labels', request.labels),
    };
  },
  (outcome, book) => ({
    grant: grantMessage(outcome.grant, book.now),
    balance: balance(book),
    entrySeq: outcome.entrySeq,
  }),
);

const openAccount = mutation(
  'OpenAccount',
  OpenAccountRequest,
  OpenAccountResponse,
  (request, check) => ({
    kind: 'OpenAccount',
    planId: check.name('plan_id', request.planId),
    displayName: check.text('display_name', request.displayName, 256),
    labels: check.labels('labels', request.labels),
  }),
  (_, book) => ({ account: account(book), balance: balance(book) }),
);

const updateAccount = mutation(
  'UpdateAccount',
  UpdateAccountRequest,
  UpdateAccountResponse,
  (request, check) => ({
    kind: 'UpdateAccount',
    displayName:
      request.displayName === undefined
        ? null
        : check.text('display_name', request.displayName, 256),
    labels: request.labels ? check.labels('labels.labels', request.labels.labels) : null,
    ...ownLimit('lowBalanceThreshold', 'low_balance_threshold', request.lowBalanceThreshold, check),
    ...ownLimit('pauseFloor', 'pause_floor', request.pauseFloor, check),
    ...(request.autoTopUp && {
      autoTopUp: request.autoTopUp.autoTopUp
        ? autoTopUpOf(request.autoTopUp.autoTopUp, check)
        : null,
    }),
  }),
  (_, book) => ({ account: account(book) }),
);

const moveAccount = mutation(
  'MoveAccount',
  MoveAccountRequest,
  MoveAccountResponse,
  (request, check) => ({
    kind: 'MoveAccount',
    planId: check.name('plan_id', request.planId),
    reference: check.text('reference', request.reference, 256),
    labels: check.labels('labels', request.labels),
  }),
  (outcome, book) => ({
    account: account(book),
    balance: balance(book),
    entrySeq: outcome.entrySeq,
  }),
);

const closeAccount = mutation(
  'CloseAccount',
  CloseAccountRequest,
  CloseAccountResponse,
  () => ({ kind: 'CloseAccount' }),
  (_, book) => ({ account: account(book), balance: balance(book) }),
);

export const accountMutations = {
  grantCredits,
  openAccount,
  updateAccount,
  moveAccount,
  closeAccount,
};
