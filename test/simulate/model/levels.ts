/** Usable credits and the low-balance levels. */
import { OPERATIONS } from '../plans.ts';
import { type AccountState, type GrantState, sum } from './state.ts';

const isLimited = ({ operations }: GrantState): boolean => operations.length > 0;

/** Whether nothing that the grant is limited to has a price. */
export const isStranded = (grant: GrantState): boolean =>
  isLimited(grant) && !grant.operations.some((name) => OPERATIONS[name]?.billable);

/** The least that an operation with a price has of a total over the grants. */
function leastOf(state: AccountState, creditsOf: (grant: GrantState) => bigint): bigint {
  const grants = [...state.grants.values()];
  const priced = Object.entries(OPERATIONS).filter(([, { billable }]) => billable);
  const totals = priced.map(([name]) =>
    sum(grants, (grant) =>
      !isLimited(grant) || grant.operations.includes(name) ? creditsOf(grant) : 0n,
    ),
  );
  return totals.reduce((least, total) => (total < least ? total : least));
}

export const usableOf = (state: AccountState): bigint =>
  leastOf(state, ({ remaining }) => remaining);

export type LevelNow = {
  readonly name: string;
  readonly threshold: bigint;
  readonly percent: number | undefined;
};

/** The levels in force with their thresholds. */
export function levelsOf(state: AccountState): readonly LevelNow[] {
  return (state.ownLevels ?? state.plan.levels).map((level) => {
    if (typeof level === 'number')
      return { name: `${level}`, threshold: BigInt(level), percent: undefined };
    const percent = Number.parseInt(level, 10);
    const granted = leastOf(state, ({ remaining, amount }) => (remaining > 0n ? amount : 0n));
    return { name: level, threshold: (granted * BigInt(percent) + 99n) / 100n, percent };
  });
}

export const isBelow = (usable: bigint, threshold: bigint): boolean =>
  usable < threshold || usable === 0n;

const recovers = (usable: bigint, threshold: bigint): boolean => usable * 10n >= threshold * 11n;

/** Looks at the levels after a change. */
export function updateLevels(state: AccountState) {
  const { remaining } = state;
  const hasRisen = remaining > state.remainingSeen;
  const hasChanged = remaining !== state.remainingSeen;
  state.remainingSeen = remaining;
  if (state.low === null && !hasChanged) return;
  const before = state.low ?? [];
  const usable = usableOf(state);
  const low: string[] = [];
  const look = (level: string, threshold: bigint, canRecover: boolean) => {
    const wasLow = before.includes(level);
    const isLow =
      isBelow(usable, threshold) || (wasLow && !(canRecover && recovers(usable, threshold)));
    if (isLow) low.push(level);
    if (isLow !== wasLow) tell(state, level, isLow, usable, threshold);
  };
  const levels = levelsOf(state);
  for (const { name, threshold, percent } of levels)
    look(name, threshold, percent === undefined || hasRisen);
  look(DEPLETED, 0n, true);
  // A level that was removed while it was low recovers.
  for (const level of before)
    if (level !== DEPLETED && levels.every(({ name }) => name !== level))
      tell(state, level, false, usable, 0n);
  state.low = low;
}

const DEPLETED = '0';

function tell(
  state: AccountState,
  level: string,
  isLow: boolean,
  usable: bigint,
  threshold: bigint,
) {
  const lowType = level === DEPLETED ? 'balance.depleted' : 'balance.low';
  const data = { level, usable: `${usable}`, threshold: `${threshold}` };
  state.emit(isLow ? lowType : 'balance.recovered', data);
}
