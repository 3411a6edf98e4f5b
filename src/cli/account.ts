/** `account`: opens, shows, moves, suspends, resumes and closes accounts. */
import {
  Account,
  Account_State,
  type AutoTopUp,
  CloseAccountResponse,
  MoveAccountResponse,
  OpenAccountResponse,
  ResumeAccountResponse,
  RunningWork,
  type ShadowMode,
  SuspendAccountResponse,
  type Suspension,
  UpdateAccountResponse,
} from '../gen/billing/v1/account_service.ts';
import type { LowBalanceLevel } from '../gen/billing/v1/pricing.ts';
import { after } from './charge.ts';
import { exitWith } from './command.ts';
import { named, toJson } from './json.ts';
import { memberName } from './member-name.ts';
import { change, type MutationOptions, mutationCommand } from './mutation.ts';
import { label } from './options.ts';
import { facts, instant, labelsText, printLines } from './print.ts';
import { deadline, type ServiceOptions, serviceCommand, withService } from './service-call.ts';

type OpenOptions = MutationOptions & {
  readonly plan: string;
  readonly name: string;
  readonly timeZone: string;
  readonly label: ReadonlyMap<string, string>;
};

export const accountOpen = mutationCommand('open', {
  description: 'Opens an account under a plan, which may grant it credits.',
  examples: ['acme --plan perfectparser', 'acme --plan verts --name "Acme Ltd" --label team=media'],
})
  .argument('<account>')
  .requiredOption('--plan <plan>', 'such as verts; plans list names them')
  .option('--name <text>', 'for people', '')
  .option('--time-zone <zone>', "such as Europe/Berlin; default: the plan's, or UTC", '')
  .option('--label <name=value>', 'can be repeated', label, new Map())
  .action(
    exitWith(async (accountId: string, options: OpenOptions) => {
      const { plan: planId, name: displayName, label: labels, timeZone } = options;
      const request = { accountId, planId, displayName, labels: new Map(labels), timeZone };
      return await change(
        options,
        ({ accounts }, requestId) => accounts.openAccount({ ...request, requestId }, deadline()),
        (response) => ({
          json: named(OpenAccountResponse, response),
          said: [
            ['opened', accountId],
            ['plan', planId],
            ...zoneOf(response.account),
            ...after(response),
          ],
        }),
      );
    }),
  );

export const accountShow = serviceCommand('show', {
  description:
    'Shows an account: its plan, state, labels and limits. Its credits are shown by balance.',
  examples: ['acme', 'acme --json'],
})
  .argument('<account>')
  .action(
    exitWith(async (accountId: string, options: ServiceOptions) => {
      const { account } = await withService(options, ({ accounts }) =>
        accounts.getAccount({ accountId }, deadline()),
      );
      if (options.json) printLines([toJson(named(Account, account), 2)]);
      else if (account) printLines(accountFacts(account));
      return 0;
    }),
  );

const accountFacts = (account: Account): readonly string[] => {
  const { autoTopUp } = account;
  return facts([
    ['account', account.accountId],
    ['plan', account.planId],
    ['state', memberName(Account_State, account.state)],
    ['name', account.displayName],
    ['labels', labelsText(account.labels)],
    ['opened', instant(account.openedAt)],
    ['time zone', account.timeZone],
    ['closed', instant(account.closedAt)],
    ['suspended', account.suspension ? suspensionText(account.suspension) : ''],
    ['shadow mode', account.shadowMode ? shadowModeText(account.shadowMode) : ''],
    ['low below', account.lowBalanceLevels.map(levelText).join(', ')],
    ['pause floor', account.pauseFloor > 0n ? `${account.pauseFloor} credits` : ''],
    ['top-up', autoTopUp ? topUpText(autoTopUp) : ''],
    ['top-up due', instant(account.topUpDueAt)],
  ]);
};

/** Of an account that is not in UTC. */
const zoneOf = (account: Account | undefined): readonly (readonly [string, string])[] =>
  account && account.timeZone !== 'UTC' ? [['time zone', account.timeZone]] : [];

const suspensionText = ({ since, reason, caller, running }: Suspension): string =>
  `${instant(since)} by ${caller}: ${reason}${running === RunningWork.STOP ? '; running jobs are stopped' : ''}`;

const shadowModeText = ({ since, until, caller }: ShadowMode): string =>
  until
    ? `ended ${instant(until)} by ${caller}`
    : `since ${instant(since)} by ${caller}: nothing is charged`;

const topUpText = ({ packId, threshold, monthlyCap }: AutoTopUp): string =>
  `pack ${packId} below ${threshold} credits, at most ${monthlyCap} a month`;

const levelText = ({ credits, percent }: LowBalanceLevel): string =>
  percent === undefined ? `${credits}` : `${percent} %`;

export const accountMove = mutationCommand('move', {
  description:
    'Moves an account to another plan, at once. Its credits stay; prices, packs and limits are those of the new plan.',
  examples: ['acme verts --reason "ticket 17"'],
})
  .argument('<account>')
  .argument('<plan>')
  .requiredOption('--reason <text>', 'why, for people; stored on the entry')
  .action(
    exitWith(
      async (
        accountId: string,
        planId: string,
        options: MutationOptions & { readonly reason: string },
      ) =>
        change(
          options,
          ({ accounts }, requestId) =>
            accounts.moveAccount(
              { accountId, planId, requestId, reason: options.reason },
              deadline(),
            ),
          (response) => ({
            json: named(MoveAccountResponse, response),
            said: [
              ['moved', accountId],
              ['plan', response.account?.planId ?? ''],
              ...after(response),
            ],
          }),
        ),
    ),
  );

export const accountTimeZone = mutationCommand('time-zone', {
  description:
    'Changes the time zone of an account, at whose midnight its allowances, budgets and statements turn. The day, week ' +
    'and month that are running end as they were.',
  examples: ['acme Europe/Berlin', 'acme UTC'],
})
  .argument('<account>')
  .argument('<zone>', 'an IANA name')
  .action(
    exitWith(async (accountId: string, timeZone: string, options: MutationOptions) =>
      change(
        options,
        ({ accounts }, requestId) =>
          accounts.updateAccount({ accountId, timeZone, requestId }, deadline()),
        (response) => ({
          json: named(UpdateAccountResponse, response),
          said: [
            ['account', accountId],
            ['time zone', response.account?.timeZone ?? ''],
            ...after(response),
          ],
        }),
      ),
    ),
  );

type ReasonOptions = MutationOptions & { readonly reason: string };

export const accountSuspend = mutationCommand('suspend', {
  description:
    'Suspends an account: nothing new is reserved or charged. Running jobs go on; with --stop they can only be released. ' +
    'Everything else works. Its callers are told the reason.',
  examples: ['acme --reason "payment overdue"', 'acme --stop --reason "stolen card, ticket 17"'],
})
  .argument('<account>')
  .option('--stop', 'running jobs are refused, too', false)
  .requiredOption('--reason <text>', 'why, for people; stored on the entry, and told to callers')
  .action(
    exitWith(async (accountId: string, options: ReasonOptions & { readonly stop: boolean }) => {
      const { reason, stop } = options;
      const running = stop ? RunningWork.STOP : RunningWork.CONTINUE;
      const request = { accountId, reason, running };
      return await change(
        options,
        ({ accounts }, requestId) => accounts.suspendAccount({ ...request, requestId }, deadline()),
        (response) => ({
          json: named(SuspendAccountResponse, response),
          said: [
            ['suspended', accountId],
            ['since', instant(response.account?.suspension?.since)],
            ...after(response),
          ],
        }),
      );
    }),
  );

export const accountResume = mutationCommand('resume', {
  description: 'Ends the suspension of an account.',
  examples: ['acme --reason "paid"'],
})
  .argument('<account>')
  .requiredOption('--reason <text>', 'why, for people; stored on the entry')
  .action(
    exitWith(async (accountId: string, options: ReasonOptions) =>
      change(
        options,
        ({ accounts }, requestId) =>
          accounts.resumeAccount({ accountId, requestId, reason: options.reason }, deadline()),
        (response) => ({
          json: named(ResumeAccountResponse, response),
          said: [['resumed', accountId], ...after(response)],
        }),
      ),
    ),
  );

export const accountClose = mutationCommand('close', {
  description:
    'Closes an account for good: nothing is reserved, charged or bought any more. Its history stays, and refunds work.',
  examples: ['acme'],
})
  .argument('<account>')
  .action(
    exitWith(async (accountId: string, options: MutationOptions) =>
      change(
        options,
        ({ accounts }, requestId) => accounts.closeAccount({ accountId, requestId }, deadline()),
        (response) => ({
          json: named(CloseAccountResponse, response),
          said: [['closed', accountId], ...after(response)],
        }),
      ),
    ),
  );
