/** The operations whose costs are measured, in this order. */
import { type Case, cases } from '../cases.ts';
import { accounts } from '../ledger.ts';
import type { Load, Operation } from '../load-spec.ts';

export type CostOperation = Pick<Case, 'name' | 'title' | 'unit'> & {
  /** Head of a column of the report. */
  readonly short: string;
  /** Exactly this many operations, and those in flight at the end. */
  readonly load: (address: string, count: number) => Load;
};

const IN_FLIGHT = 64;

/** Longer than any load: it ends by its count. */
const UNLIMITED_MS = 2 ** 31 - 1;

export const countedLoad = (
  { operation, inFlight }: Pick<Load, 'operation' | 'inFlight'>,
  address: string,
  count: number,
): Load => ({
  operation,
  inFlight,
  addresses: [address],
  warmUpMs: 0,
  durationMs: UNLIMITED_MS,
  operationsMax: count,
});

/** The load of a case that needs no figures of other cases. */
export function loadOfCase(name: string): Pick<Load, 'operation' | 'inFlight'> {
  return caseNamed(name).load({
    perSecondOf: () => 0,
    historyEntries: 0,
    handTunedPool: 0,
    seconds: 0,
  });
}

function caseNamed(name: string): Case {
  const found = cases.find((one) => one.name === name);
  if (!found) throw new Error(`there is no case ${name}`);
  return found;
}

const ofCase = (name: string, short: string): CostOperation => {
  const { title, unit } = caseNamed(name);
  const load = loadOfCase(name);
  return { name, title, unit, short, load: (address, count) => countedLoad(load, address, count) };
};

const onReservations = (
  kind: Extract<Operation, { prepare: number }>['kind'],
  title: string,
  short: string,
): CostOperation => ({
  name: kind,
  title,
  unit: 'call',
  short,
  load: (address, count) =>
    countedLoad(
      {
        operation: { kind, accounts: accounts.spread, prepare: count },
        inFlight: IN_FLIGHT,
      },
      address,
      count,
    ),
});

/** The pair is first: its growth then starts from the same ledger in every run. */
export const costOperations: readonly CostOperation[] = [
  ofCase('reserve_commit', 'pair'),
  ofCase('reserve', 'Reserve'),
  onReservations('commit', 'Commit', 'Commit'),
  ofCase('charge', 'Charge'),
  onReservations('release', 'Release', 'Release'),
  onReservations('extend', 'ExtendReservation', 'Extend'),
  ofCase('batch_100', 'Batch 100'),
  ofCase('batch_1000', 'Batch 1,000'),
  ofCase('balance', 'GetBalance'),
  ofCase('estimate', 'Estimate'),
];
