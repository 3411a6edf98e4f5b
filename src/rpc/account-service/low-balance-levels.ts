/** The low-balance levels that a request sets. */
import type { OwnLowBalanceLevels } from '../../gen/billing/v1/account_service.ts';
import type { LowBalanceLevel as LevelMessage } from '../../gen/billing/v1/pricing.ts';
import { LEVELS_MAX, type LowBalanceLevel, levelName } from '../../pricing/low-balance-level.ts';
import type { FieldChecker } from '../call/field-checker.ts';

const FIELD = 'low_balance_levels.own.levels';

/** Null: the account has no levels of its own. */
export function parseLevels(
  { own }: OwnLowBalanceLevels,
  check: FieldChecker,
): readonly LowBalanceLevel[] | null {
  if (!own) return null;
  if (own.levels.length > LEVELS_MAX)
    check.addViolation(FIELD, `must be at most ${LEVELS_MAX} levels`);
  const levels = own.levels
    .slice(0, LEVELS_MAX)
    .map((level, index) => parseLevel(level, `${FIELD}[${index}]`, check));
  const names = levels.map(levelName);
  for (const [index, name] of names.entries())
    if (names.indexOf(name) < index)
      check.addViolation(`${FIELD}[${index}]`, `is the same as ${FIELD}[${names.indexOf(name)}]`);
  return levels;
}

function parseLevel(
  { credits, percent }: LevelMessage,
  field: string,
  check: FieldChecker,
): LowBalanceLevel {
  if ((credits === undefined) === (percent === undefined))
    check.addViolation(field, 'give credits or percent, one of them');
  if (percent === undefined)
    return { credits: check.credits(`${field}.credits`, credits ?? 1n, 1n) };
  if (percent < 1 || percent > 100) check.addViolation(`${field}.percent`, 'must be 1 to 100');
  return { percent };
}
