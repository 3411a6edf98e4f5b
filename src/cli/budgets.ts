/** `budgets`: sets, removes and shows caps below an account. */
import { InvalidArgumentError } from 'commander';
import {
  Budget,
  BudgetEnforcement,
  BudgetPeriod,
  BudgetUse,
  RemoveBudgetResponse,
  SetBudgetResponse,
} from '../gen/billing/v1/budget.ts';
import { argumentError, exitWith, group } from './command.ts';
import { NOT_FOUND } from './exit-codes.ts';
import { named, toJson } from './json.ts';
import { memberName } from './member-name.ts';
import { change, type MutationOptions, mutationCommand } from './mutation.ts';
import { credits, firstOf, oneOf, toLimit } from './options.ts';
import { type Fact, instant, printLines } from './print.ts';
import { deadline, type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { table } from './table.ts';

/** Undefined: no cap. */
type Exceptions = ReadonlyMap<string, bigint | undefined>;

type SetOptions = MutationOptions & {
  readonly per?: string;
  readonly perOperation: boolean;
  readonly value?: string;
  readonly credits: bigint;
  readonly period: BudgetPeriod;
  readonly soft: boolean;
  readonly except: Exceptions;
  readonly reason: string;
};

const set = mutationCommand('set', {
  description:
    'Sets a budget: how many credits each value of a label (--per) may use in a period, each operation (--per-operation), ' +
    'or one of them (--value). More is refused; with --soft an event says it instead. It replaces the budget of the same ' +
    'name as a whole. Work without the label counts as a value of its own.',
  examples: [
    'acme per-user --per user --credits 100 --period day --reason "members share the account"',
    'acme per-user --per user --credits 100 --period day --except ann=500 --except bot=unlimited --reason x',
    'acme scans --per-operation --value image.scan --credits 5000 --period month --soft --reason "watch it"',
  ],
})
  .argument('<account>')
  .argument('<budget>', 'its name')
  .option('--per <label>', 'the label whose values are capped, such as user')
  .option('--per-operation', 'operations are capped', false)
  .option('--value <text>', 'only this value; default: each has the cap for itself')
  .requiredOption('--credits <number>', 'the cap', credits)
  .requiredOption(
    '--period <period>',
    'day, week, month or total',
    oneOf<BudgetPeriod>(BudgetPeriod, 'period'),
  )
  .option('--soft', 'nothing is refused', false)
  .option(
    '--except <value=credits>',
    'another cap, or =unlimited; can be repeated',
    exception,
    new Map(),
  )
  .requiredOption('--reason <text>', 'why, for people; stored on the entry')
  .action(
    exitWith(async (accountId: string, budgetId: string, options: SetOptions) => {
      const request = { accountId, budget: toBudget(budgetId, options), reason: options.reason };
      return await change(
        options,
        ({ accounts }, requestId) => accounts.setBudget({ ...request, requestId }, deadline()),
        (response) => ({
          json: named(SetBudgetResponse, response),
          said: [
            ['budget', budgetId],
            ['caps', response.budget ? capText(response.budget) : ''],
            ['counts since', `entry ${response.sinceSeq}`],
            ...entryFact(response),
          ],
        }),
      );
    }),
  );

/** Adds "ann=500" or "bot=unlimited" to the exceptions. */
function exception(text: string, before: Exceptions): Exceptions {
  const [, value, cap] = /^(.*)=(\d{1,18}|unlimited)$/s.exec(text) ?? [];
  if (value === undefined || cap === undefined)
    throw new InvalidArgumentError('It must be such as ann=500 or bot=unlimited.');
  return new Map([...before, [value, cap === 'unlimited' ? undefined : BigInt(cap)]]);
}

function toBudget(budgetId: string, options: SetOptions): Budget {
  const { per, perOperation, value, period, soft, except } = options;
  if ((per !== undefined) === perOperation)
    throw argumentError('either --per or --per-operation is needed');
  const { HARD, SOFT } = BudgetEnforcement;
  return {
    budgetId,
    dimension:
      per === undefined ? { $case: 'operation', value: true } : { $case: 'label', value: per },
    value,
    credits: options.credits,
    period,
    enforcement: soft ? SOFT : HARD,
    exceptions: [...except].map(([value, cap]) => ({
      value,
      cap:
        cap === undefined ? { $case: 'unlimited', value: true } : { $case: 'credits', value: cap },
    })),
  };
}

const entryFact = ({ entrySeq }: { readonly entrySeq: bigint }): readonly Fact[] => [
  ['entry', entrySeq > 0n ? `${entrySeq}` : 'none: nothing changed'],
];

/** Such as "each user: 100 credits a day". */
function capText({ dimension, value, credits, period, enforcement }: Budget): string {
  const name = dimension?.$case === 'label' ? dimension.value : 'operation';
  const whom = value === undefined ? `each ${name}` : `${name} ${valueText(value)}`;
  const unit = memberName(BudgetPeriod, period).toLowerCase();
  const soft = enforcement === BudgetEnforcement.SOFT ? ', soft' : '';
  return `${whom}: ${credits} credits ${unit === 'total' ? 'in total' : `a ${unit}`}${soft}`;
}

/** The empty value is that of work without a label or an operation. */
const valueText = (value: string): string => value || '(none)';

type RemoveOptions = MutationOptions & { readonly reason: string };

const remove = mutationCommand('remove', {
  description: 'Removes a budget. One that is set again under this name counts anew.',
  examples: ['acme per-user --reason "no longer shared"'],
})
  .argument('<account>')
  .argument('<budget>')
  .requiredOption('--reason <text>', 'why, for people; stored on the entry')
  .action(
    exitWith(async (accountId: string, budgetId: string, options: RemoveOptions) => {
      const { reason } = options;
      const request = { accountId, budgetId, reason };
      return await change(
        options,
        ({ accounts }, requestId) => accounts.removeBudget({ ...request, requestId }, deadline()),
        (response) => ({
          json: named(RemoveBudgetResponse, response),
          said: [['removed', budgetId], ...entryFact(response)],
        }),
      );
    }),
  );

type ShowOptions = ServiceOptions & { readonly value?: string; readonly limit: number };

const show = serviceCommand('show', {
  description:
    'Shows the budgets of an account, or one, and what was used of them in the current periods. Exits with 1 if there are none.',
  examples: ['acme', 'acme per-user --value ann', 'acme --limit 1000 --json'],
})
  .argument('<account>')
  .argument('[budget]', 'only this one', '')
  .option('--value <text>', 'only what this value has used')
  .option('--limit <number>', 'at most so many values', toLimit, 50)
  .action(
    exitWith(async (accountId: string, budgetId: string, options: ShowOptions) => {
      const { value, limit } = options;
      let budgets: readonly Budget[] = [];
      const { rows, hasMore } = await withService(options, ({ accounts }) =>
        firstOf(limit, async (pageToken, pageSize) => {
          const request = { accountId, budgetId, value, pageToken, pageSize };
          const page = await accounts.getBudgets(request, deadline());
          budgets = page.budgets;
          return [page.uses, page.nextPageToken];
        }),
      );
      if (options.json)
        printLines([
          toJson(
            {
              budgets: budgets.map((budget) => named(Budget, budget)),
              uses: rows.map((use) => named(BudgetUse, use)),
            },
            2,
          ),
        ]);
      else if (budgets.length > 0) printLines(linesOf(budgets, rows));
      if (hasMore) process.stderr.write(`there are more than ${limit}: raise --limit\n`);
      if (budgets.length === 0) process.stderr.write('the account has no budgets\n');
      return budgets.length > 0 ? 0 : NOT_FOUND;
    }),
  );

/** A line per budget, and below them one per value. */
const linesOf = (budgets: readonly Budget[], uses: readonly BudgetUse[]): readonly string[] => [
  ...table(
    [{ title: 'budget' }, { title: 'caps' }],
    budgets.map((budget) => [budget.budgetId, capText(budget)]),
  ),
  ...(uses.length === 0
    ? []
    : [
        '',
        ...table(
          [
            { title: 'budget' },
            { title: 'value' },
            { title: 'used', align: 'right' },
            { title: 'cap', align: 'right' },
            { title: 'resets' },
          ],
          uses.map(({ budgetId, value, used, cap, resetsAt }) => [
            budgetId,
            valueText(value),
            used.toString(),
            cap === undefined ? 'none' : cap.toString(),
            resetsAt ? instant(resetsAt) : 'never',
          ]),
        ),
      ]),
];

export const budgets = group('budgets', 'Caps below an account, by label or operation.', [
  set,
  remove,
  show,
]);
