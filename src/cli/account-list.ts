/** `account list`: accounts by plan, state, label and balance. */
import { Account, Account_State } from '../gen/billing/v1/account_service.ts';
import { exitWith } from './command.ts';
import { NOT_FOUND } from './exit-codes.ts';
import { named, toJson } from './json.ts';
import { memberName } from './member-name.ts';
import {
  credits,
  firstOf,
  type LabelFilter,
  labelFields,
  labelFilter,
  oneOf,
  toLimit,
} from './options.ts';
import { instant, labelsText, printLines } from './print.ts';
import { deadline, type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { table } from './table.ts';

type ListOptions = ServiceOptions & {
  readonly plan: string;
  readonly state?: Account_State;
  readonly label?: LabelFilter;
  readonly availableAtMost?: bigint;
  readonly shadow: boolean;
  readonly limit: number;
};

export const accountList = serviceCommand('list', {
  description: 'Lists accounts in the order of their ids. Exits with 1 if there are none.',
  examples: [
    '',
    '--plan verts --limit 1000 --json',
    '--label team=media --label tier',
    '--available-at-most 100 --state open',
  ],
})
  .option('--plan <plan>', 'only accounts of this plan', '')
  .option(
    '--state <state>',
    'only these: open, suspended or closed',
    oneOf<Account_State>(Account_State, 'state'),
  )
  .option(
    '--label <name[=value]>',
    'only those with this label, or with any of this name; can be repeated: all must match',
    labelFilter,
  )
  .option(
    '--available-at-most <number>',
    'only those with a low balance: at most so many credits available',
    credits,
  )
  .option('--shadow', 'only those in shadow mode', false)
  .option('--limit <number>', 'at most so many', toLimit, 50)
  .action(
    exitWith(async (options: ListOptions) => {
      const { plan: planId, state, label, availableAtMost, shadow, limit } = options;
      const { rows, hasMore } = await withService(options, ({ accounts }) =>
        firstOf(limit, async (pageToken, pageSize) => {
          const request = {
            planId,
            ...(state && { state }),
            ...labelFields(label),
            ...(availableAtMost !== undefined && { availableAtMost }),
            inShadowMode: shadow,
            pageToken,
            pageSize,
          };
          const page = await accounts.listAccounts(request, deadline());
          return [page.accounts, page.nextPageToken];
        }),
      );
      if (options.json)
        printLines([
          toJson(
            rows.map((row) => named(Account, row)),
            2,
          ),
        ]);
      else if (rows.length > 0) printLines(accountLines(rows));
      if (hasMore) process.stderr.write(`there are more than ${limit}: raise --limit\n`);
      if (rows.length === 0)
        process.stderr.write(
          isFiltered(options)
            ? 'no account matches\n'
            : 'no account: account open opens one, plans list names the plans\n',
        );
      return rows.length > 0 ? 0 : NOT_FOUND;
    }),
  );

const isFiltered = ({ plan, state, label, availableAtMost, shadow }: ListOptions): boolean =>
  shadow ||
  plan !== '' ||
  state !== undefined ||
  label !== undefined ||
  availableAtMost !== undefined;

const accountLines = (accounts: readonly Account[]): readonly string[] =>
  table(
    [
      { title: 'account' },
      { title: 'plan' },
      { title: 'state' },
      { title: 'available', align: 'right' },
      { title: 'opened' },
      { title: 'name' },
      { title: 'labels' },
    ],
    accounts.map((account) => [
      account.accountId,
      account.planId,
      memberName(Account_State, account.state),
      `${account.available ?? ''}`,
      instant(account.openedAt),
      account.displayName,
      labelsText(account.labels),
    ]),
  );
