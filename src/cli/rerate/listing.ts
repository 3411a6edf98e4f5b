/** What `rerate` writes: a line for each charge or account, as a table or CSV, and the sums. */
import type { RecordedCharge } from '../../rerate/correction.ts';
import { csvText } from '../csv.ts';
import { printLines } from '../print.ts';
import { table } from '../table.ts';
import type { Outcome } from './apply.ts';

/** States after which nothing is left to be done. */
const COMPLETE: ReadonlySet<string> = new Set(['refunded', 'charged', 'done']);

type Sums = {
  charges: bigint;
  charged: bigint;
  shouldCost: bigint;
  /** Credits by state: "to refund", "charged", "INSUFFICIENT_CREDITS", … */
  readonly states: Map<string, { charges: bigint; credits: bigint }>;
};

const noSums = (): Sums => ({ charges: 0n, charged: 0n, shouldCost: 0n, states: new Map() });

function addTo(sums: Sums, { correction, state }: Outcome) {
  const { charged, shouldCost } = correction;
  sums.charges += 1n;
  sums.charged += charged;
  sums.shouldCost += shouldCost;
  const ofState = sums.states.get(state) ?? { charges: 0n, credits: 0n };
  ofState.charges += 1n;
  ofState.credits += shouldCost - charged;
  sums.states.set(state, ofState);
}

export type Listing = {
  readonly add: (outcome: Outcome) => void;
  readonly has: (charge: RecordedCharge) => boolean;
  /** Writes what is left, and the sums of all beside the output. */
  readonly end: () => void;
  /** Whether nothing is left to be corrected. */
  readonly isComplete: boolean;
};

const CHARGE_COLUMNS = [
  ...['account', 'entry', 'at', 'request', 'reservation', 'version', 'operations'],
  ...['charged', 'should_cost', 'difference', 'state', 'why'],
];
const ACCOUNT_COLUMNS = [
  ...['account', 'charges', 'charged', 'should_cost', 'difference', 'states'],
];

export function listingOf(byAccount: boolean, csv: boolean, applied: boolean): Listing {
  const total = noSums();
  const columns = byAccount ? ACCOUNT_COLUMNS : CHARGE_COLUMNS;
  const rows: (readonly string[])[] = [];
  const listed = new Set<string>();
  let account: { readonly id: string; readonly sums: Sums } | null = null;
  if (csv) process.stdout.write(csvText([columns]));
  const put = (row: readonly string[]) => {
    if (csv) process.stdout.write(csvText([row]));
    else rows.push(row);
  };
  const endAccount = () => {
    if (account && byAccount) put(accountRow(account.id, account.sums));
  };
  return {
    has: (charge) => listed.has(nameOf(charge)),
    add(outcome) {
      const { accountId } = outcome.charge;
      listed.add(nameOf(outcome.charge));
      if (account?.id !== accountId) {
        endAccount();
        account = { id: accountId, sums: noSums() };
      }
      addTo(account.sums, outcome);
      addTo(total, outcome);
      if (!byAccount) put(chargeRow(outcome));
    },
    end() {
      endAccount();
      if (rows.length > 0) printLines(table(columns.map(columnOf), rows));
      process.stderr.write(`${totalText(total, applied)}\n`);
    },
    get isComplete() {
      return [...total.states.keys()].every((state) => COMPLETE.has(state));
    },
  };
}

const nameOf = ({ accountId, seq }: RecordedCharge): string => `${accountId}:${seq}`;

const NUMBERS = new Set(['entry', 'version', 'charges', 'charged', 'should_cost', 'difference']);

const columnOf = (name: string) => ({
  title: name.replace('_', ' '),
  align: NUMBERS.has(name) ? ('right' as const) : ('left' as const),
});

const chargeRow = ({ charge, correction, state }: Outcome): readonly string[] => [
  charge.accountId,
  `${charge.seq}`,
  new Date(charge.at).toISOString(),
  charge.requestId,
  charge.reservationId,
  `${charge.rateCardVersion}`,
  [...new Set(charge.usages.map(({ usage }) => usage.operation))].join(' '),
  `${correction.charged}`,
  `${correction.shouldCost}`,
  `${correction.shouldCost - correction.charged}`,
  state,
  correction.why,
];

const accountRow = (accountId: string, sums: Sums): readonly string[] => [
  accountId,
  `${sums.charges}`,
  `${sums.charged}`,
  `${sums.shouldCost}`,
  `${sums.shouldCost - sums.charged}`,
  statesText(sums),
];

/** Such as "to refund 3 (-40)". */
const statesText = ({ states }: Sums): string =>
  [...states]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([state, { charges, credits }]) => `${state} ${charges} (${credits})`)
    .join(', ');

function totalText(total: Sums, applied: boolean): string {
  if (total.charges === 0n) return 'every charge costs what it should';
  const text = `${total.charges} charges: ${statesText(total)}`;
  return applied ? text : `${text}; dry run: nothing was written`;
}
