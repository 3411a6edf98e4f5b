/** `sandbox`: moves the clock of a sandbox, and plays the customers of its payment provider. */
import { type Scrip, ScripError } from '../client.ts';
import {
  ActOnPaymentRequest_Action as Action,
  type AdvanceClockResponse,
  type Happening,
  type Payment,
} from '../gen/sandbox/v1/sandbox_service.ts';
import { argumentError, command, exitWith } from './command.ts';
import { NOT_FOUND, REFUSED } from './exit-codes.ts';
import { toJson } from './json.ts';
import { facts, instant, length, nonZero, printLines } from './print.ts';
import { targetOf } from './sandbox-target.ts';
import {
  CallError,
  deadline,
  notFound,
  type ServiceOptions,
  serviceCommand,
  withService,
} from './service-call.ts';
import { table } from './table.ts';

/** As `withService`, of a service that may be none. */
const withSandbox = <Result>(
  options: ServiceOptions,
  use: (scrip: Scrip) => Promise<Result>,
): Promise<Result> =>
  withService(options, (scrip) =>
    use(scrip).catch((error: unknown) => {
      if (!(error instanceof ScripError) || error.reason !== 'METHOD_UNKNOWN') throw error;
      throw new CallError('this service is no sandbox: npm start -- --sandbox starts one', REFUSED);
    }),
  );

export const sandboxTime = serviceCommand('time', {
  description: 'Prints the time of a sandbox, and how far it was moved.',
  examples: ['', '--json'],
}).action(
  exitWith(async (options: ServiceOptions) => {
    const response = await withSandbox(options, ({ sandbox }) => sandbox.getClock({}, deadline()));
    const { time, moved } = response;
    if (options.json) printLines([toJson(response, 2)]);
    else
      printLines(
        facts([
          ['time', instant(time)],
          ['moved', moved && moved.seconds > 0n ? length(moved) : 'not yet'],
        ]),
      );
    return 0;
  }),
);

type AdvanceOptions = ServiceOptions & { readonly until?: string };

export const sandboxAdvance = serviceCommand('advance', {
  description:
    'Moves the clock of a sandbox forwards, and lists what happens on the way: expiries, allowances, statements, top-ups. ' +
    'It stops wherever something is due, so a year takes a while.',
  examples: ['40d', '12h', 'month end', '2027-01-01', '--until 2027-01-01T00:00Z'],
})
  .argument('[by...]', 'such as 40d, 12h, a date, or month end')
  .option('--until <instant>', 'the same as an instant or a date')
  .action(
    exitWith(async (by: readonly string[], options: AdvanceOptions) => {
      const words = options.until === undefined ? by : [options.until];
      if (words.length === 0 || (options.until !== undefined && by.length > 0))
        throw argumentError('either a length of time or date, such as 40d, or --until is needed');
      const moved = await withSandbox(options, async (scrip) => {
        const { time } = await scrip.sandbox.getClock({}, deadline());
        const moved = await advance(scrip, targetOf(words, time?.getTime() ?? 0));
        return { ...moved, fromTime: time };
      });
      if (options.json) printLines([toJson(moved, 2)]);
      else printLines(movedLines(moved));
      return 0;
    }),
  );

/** One call works for two seconds. */
async function advance({ sandbox }: Scrip, target: number): Promise<AdvanceClockResponse> {
  const until = new Date(target);
  let moved = await sandbox.advanceClock({ until }, deadline());
  const since = moved.fromTime;
  const start = since?.getTime() ?? 0;
  while (!moved.isReached) {
    showProgress(moved, ((moved.time?.getTime() ?? 0) - start) / (target - start));
    moved = await sandbox.advanceClock({ until, since }, deadline());
  }
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  return moved;
}

function showProgress({ time }: AdvanceClockResponse, share: number) {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r\u001b[K${instant(time).slice(0, 10)}  ${Math.floor(share * 100)} %`);
}

function movedLines({ fromTime, time, happenings }: AdvanceClockResponse): readonly string[] {
  const ms = (time?.getTime() ?? 0) - (fromTime?.getTime() ?? 0);
  const said = facts([
    ['from', instant(fromTime)],
    ['to', instant(time)],
    ['moved', length({ seconds: BigInt(Math.floor(ms / 1_000)), nanos: 0 })],
  ]);
  return [
    ...said,
    '',
    ...(happenings.length > 0 ? happeningLines(happenings) : ['nothing was due']),
  ];
}

const happeningLines = (happenings: readonly Happening[]): readonly string[] =>
  table(
    [
      { title: 'what happened' },
      { title: 'times', align: 'right' },
      { title: 'accounts', align: 'right' },
      { title: 'credits', align: 'right' },
      { title: 'first' },
      { title: 'last' },
    ],
    happenings.map((one) => [
      one.what,
      one.count.toString(),
      one.accounts.toString(),
      nonZero(one.credits),
      instant(one.firstAt),
      one.count > 1n ? instant(one.lastAt) : '',
    ]),
  );

/** By option; without one the customer pays. */
const ACTIONS = {
  decline: Action.DECLINE,
  refund: Action.REFUND,
  dispute: Action.DISPUTE,
  win: Action.WIN_DISPUTE,
  lose: Action.LOSE_DISPUTE,
} as const;

type PayOptions = ServiceOptions & Readonly<Record<keyof typeof ACTIONS, boolean>>;

export const sandboxPay = serviceCommand('pay', {
  description:
    'Pays a purchase at the test payment provider of a sandbox, or does what else its customer, a bank or an operator would. ' +
    'The checkout page does the same in a browser.',
  examples: [
    'acme',
    '0198f0c4-6a5e-7c3a-9b1d-2e4f6a8b0c1d',
    '0198f0c4-6a5e-7c3a-9b1d-2e4f6a8b0c1d --decline',
    'acme --refund',
  ],
})
  .argument('<purchase>', 'or an account: its newest payment')
  .option('--decline', 'have the card declined; the checkout stays open', false)
  .option('--refund', 'give back all that was paid', false)
  .option('--dispute', 'have the customer dispute the payment', false)
  .option('--win', 'win the dispute', false)
  .option('--lose', 'lose the dispute', false)
  .action(
    exitWith(async (purchaseOrAccount: string, options: PayOptions) => {
      const names = Object.keys(ACTIONS) as (keyof typeof ACTIONS)[];
      const chosen = names.filter((name) => options[name]);
      if (chosen.length > 1)
        throw argumentError(`only one of ${names.map((name) => `--${name}`).join(', ')}`);
      const [name] = chosen;
      const action = name ? ACTIONS[name] : Action.PAY;
      const response = await withSandbox(options, async (scrip) => {
        const purchaseId = await purchaseOf(scrip, purchaseOrAccount, action);
        return await scrip.sandbox.actOnPayment({ purchaseId, action }, deadline());
      });
      const { payment, isDelivered } = response;
      if (options.json) printLines([toJson(response, 2)]);
      else if (payment)
        printLines(
          facts([
            ['purchase', payment.purchaseId],
            ['account', payment.accountId],
            ['payment', `${payment.amount} ${payment.currency}, ${payment.state}`],
            ['webhook', isDelivered ? 'processed' : 'not processed yet: it is delivered again'],
          ]),
        );
      return 0;
    }),
  );

const PURCHASE = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The purchase, or the newest of an account; to be paid or declined, of those that can be. */
async function purchaseOf({ sandbox }: Scrip, named: string, action: Action): Promise<string> {
  if (PURCHASE.test(named)) return named;
  const { payments } = await sandbox.listPayments({}, deadline());
  const own = payments.filter(({ accountId }) => accountId === named);
  const needsCheckout = action === Action.PAY || action === Action.DECLINE;
  const [newest] = needsCheckout ? own.filter(({ checkoutUrl }) => checkoutUrl !== '') : own;
  if (newest) return newest.purchaseId;
  const what = needsCheckout ? 'open checkout' : 'payment';
  throw notFound(`there is no ${what} of an account ${named}: purchases buy makes one`);
}

export const sandboxPayments = serviceCommand('payments', {
  description:
    'Lists the payments of the test payment provider of a sandbox, newest first, with the pages of open checkouts. ' +
    'Exits with 1 if there are none.',
  examples: ['', '--json'],
}).action(
  exitWith(async (options: ServiceOptions) => {
    const response = await withSandbox(options, ({ sandbox }) =>
      sandbox.listPayments({}, deadline()),
    );
    const { payments } = response;
    if (options.json) printLines([toJson(payments, 2)]);
    else if (payments.length > 0) printLines(paymentLines(payments));
    if (payments.length === 0) process.stderr.write('no payment: purchases buy makes one\n');
    return payments.length > 0 ? 0 : NOT_FOUND;
  }),
);

const paymentLines = (payments: readonly Payment[]): readonly string[] =>
  table(
    [
      { title: 'purchase' },
      { title: 'account' },
      { title: 'amount', align: 'right' },
      { title: 'state' },
      { title: 'checkout' },
    ],
    payments.map((payment) => [
      payment.purchaseId,
      payment.accountId,
      `${payment.amount} ${payment.currency}`,
      payment.state,
      payment.checkoutUrl,
    ]),
  );

export const sandboxCreate = command('create', {
  description:
    "Makes the empty database of DATABASE_URL a sandbox's, for ever, and migrates it. Without a DATABASE_URL " +
    'npm start -- --sandbox makes one by itself. Refuses a database that has tables.',
  examples: [''],
}).action(
  exitWith(async () => {
    const [{ requireConfig }, { prepareSandbox }] = await Promise.all([
      import('../config.ts'),
      import('../sandbox/mark.ts'),
    ]);
    const { DATABASE_URL: url } = requireConfig(process.env);
    if (!url)
      throw new Error(
        'DATABASE_URL is not set (npm start -- --sandbox makes a database of its own)',
      );
    await prepareSandbox(url);
    process.stdout.write(
      'the database is a sandbox: publish plans with scrip plans publish, then npm start -- --sandbox\n',
    );
    return 0;
  }),
);
