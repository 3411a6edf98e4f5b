/** SetBudget, RemoveBudget and GetBudgets. */
import {
  BudgetEnforcement,
  type BudgetException,
  type Budget as BudgetMessage,
  BudgetPeriod,
  BudgetUse,
  type GetBudgetsRequest,
  type GetBudgetsResponse,
  RemoveBudgetRequest,
  RemoveBudgetResponse,
  SetBudgetRequest,
  SetBudgetResponse,
} from '../../gen/billing/v1/budget.ts';
import type { Budget } from '../../ledger/budget.ts';
import type { BudgetPeriod as LedgerPeriod } from '../../ledger/budget-period.ts';
import { accountNotFound, budgetNotFound } from '../../ledger/failures.ts';
import { readBudgetUses, type UsesWanted } from '../../queries/budgets.ts';
import { FieldChecker } from '../call/field-checker.ts';
import { defineMutation } from '../call/mutation.ts';
import { decodePageToken, encodePageToken, toPage } from '../call/pages.ts';
import { budgetMessage, budgetUseMessage } from '../messages/budget.ts';
import type { ServiceContext } from '../service-context.ts';

export const setBudget = defineMutation(
  'SetBudget',
  SetBudgetRequest,
  SetBudgetResponse,
  (request, check) => ({
    kind: 'SetBudget',
    budget: parseBudget(request.budget, check),
    reason: check.reason(request.reason),
  }),
  ({ budget, entrySeq }) => ({
    budget: budgetMessage(budget),
    sinceSeq: budget.since,
    entrySeq,
  }),
);

export const removeBudget = defineMutation(
  'RemoveBudget',
  RemoveBudgetRequest,
  RemoveBudgetResponse,
  (request, check) => ({
    kind: 'RemoveBudget',
    budgetId: check.name('budget_id', request.budgetId),
    reason: check.reason(request.reason),
  }),
  ({ entrySeq }) => ({ entrySeq }),
);

const PERIODS: ReadonlyMap<BudgetPeriod, LedgerPeriod> = new Map([
  [BudgetPeriod.DAY, 'DAY'],
  [BudgetPeriod.WEEK, 'WEEK'],
  [BudgetPeriod.MONTH, 'MONTH'],
  [BudgetPeriod.TOTAL, 'TOTAL'],
]);
const ENFORCEMENTS: ReadonlyMap<BudgetEnforcement, Budget['enforcement']> = new Map([
  [BudgetEnforcement.UNSPECIFIED, 'HARD'],
  [BudgetEnforcement.HARD, 'HARD'],
  [BudgetEnforcement.SOFT, 'SOFT'],
]);
/** They are stored on the row of the account, which every unit of work reads. */
const EXCEPTIONS_MAX = 100;
const VALUE_MAX = 256;
const LABEL_MAX = 64;

function parseBudget(
  message: BudgetMessage | undefined,
  check: FieldChecker,
): Omit<Budget, 'since'> {
  if (!message) check.addViolation('budget', 'is required');
  const { budgetId, value, credits, exceptions } = message ?? EMPTY_BUDGET;
  const { dimension, period: asked, enforcement: wanted } = message ?? EMPTY_BUDGET;
  const period = PERIODS.get(asked);
  if (!period) check.addViolation('budget.period', 'must be DAY, WEEK, MONTH or TOTAL');
  const enforcement = ENFORCEMENTS.get(wanted);
  if (!enforcement) check.addViolation('budget.enforcement', 'must be HARD or SOFT');
  return {
    budgetId: check.name('budget.budget_id', budgetId),
    label: parseDimension(dimension, check),
    value: value === undefined ? null : check.text('budget.value', value, VALUE_MAX),
    cap: check.credits('budget.credits', credits),
    period: period ?? 'TOTAL',
    enforcement: enforcement ?? 'HARD',
    exceptions: parseExceptions(exceptions, value !== undefined, check),
  };
}

const EMPTY_BUDGET: BudgetMessage = {
  budgetId: '',
  dimension: undefined,
  value: undefined,
  credits: 0n,
  period: BudgetPeriod.UNSPECIFIED,
  enforcement: BudgetEnforcement.UNSPECIFIED,
  exceptions: [],
};

/** The label; null: operations. */
function parseDimension(dimension: BudgetMessage['dimension'], check: FieldChecker): string | null {
  if (dimension?.$case === 'label')
    return check.text('budget.label', dimension.value, LABEL_MAX, 1);
  if (dimension) check.all('budget.operation', dimension.value);
  else check.addViolation('budget.label', 'give label or operation, one of them');
  return null;
}

function parseExceptions(
  exceptions: readonly BudgetException[],
  hasOneValue: boolean,
  check: FieldChecker,
): Budget['exceptions'] {
  const path = 'budget.exceptions';
  if (hasOneValue && exceptions.length > 0)
    check.addViolation(path, 'must be empty where the budget caps one value');
  if (exceptions.length > EXCEPTIONS_MAX)
    check.addViolation(path, `must be at most ${EXCEPTIONS_MAX} exceptions`);
  const caps = new Map<string, bigint | null>();
  for (const [index, { value, cap }] of exceptions.slice(0, EXCEPTIONS_MAX).entries()) {
    check.text(`${path}[${index}].value`, value, VALUE_MAX);
    if (caps.has(value)) check.addViolation(`${path}[${index}].value`, 'is there before');
    caps.set(value, parseCap(`${path}[${index}]`, cap, check));
  }
  return caps;
}

/** Null: none. */
function parseCap(path: string, cap: BudgetException['cap'], check: FieldChecker): bigint | null {
  if (cap?.$case === 'credits') return check.credits(`${path}.credits`, cap.value);
  if (cap) check.all(`${path}.unlimited`, cap.value);
  else check.addViolation(`${path}.credits`, 'give credits or unlimited, one of them');
  return null;
}

/** The name of a budget, a space, and a value. */
const PAGE_KEY = /^[A-Za-z0-9._:-]{1,64} /;

export async function getBudgets(
  context: ServiceContext,
  request: GetBudgetsRequest,
): Promise<GetBudgetsResponse> {
  const { budgetId, value } = request;
  const check = new FieldChecker();
  const accountId = check.accountId(request.accountId);
  const pageSize = check.pageSize(request.pageSize);
  if (budgetId !== '') check.name('budget_id', budgetId);
  if (value !== undefined) check.text('value', value, VALUE_MAX);
  check.throwIfInvalid();
  const list = ['budgets', accountId, budgetId, value === undefined ? '' : `=${value}`];
  const key = decodePageToken(list, request.pageToken, PAGE_KEY);
  const read = await readBudgetUses(context.em(), accountId, context.clock.now(), {
    budgetId,
    value: value ?? null,
    after: key === null ? null : parseKey(key),
    limit: pageSize + 1,
  });
  if (!read) throw accountNotFound(accountId);
  const { budgets, uses } = read;
  if (budgetId !== '' && budgets.length === 0) throw budgetNotFound(accountId, budgetId);
  const { messages, nextPageToken } = toPage(uses, pageSize, BudgetUse, budgetUseMessage, (use) =>
    encodePageToken(list, `${use.budgetId} ${use.value}`),
  );
  return { budgets: budgets.map(budgetMessage), uses: messages, nextPageToken };
}

function parseKey(key: string): UsesWanted['after'] {
  const space = key.indexOf(' ');
  return { budgetId: key.slice(0, space), value: key.slice(space + 1) };
}
