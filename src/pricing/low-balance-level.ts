/** Levels of the usable credits below which a balance is low: of a plan, or of an account's own. */

/** A number of credits, or a percentage of the credits that were granted. Both are 1 or more. */
export type LowBalanceLevel = { readonly credits: bigint } | { readonly percent: number };

/** The most levels of a plan or account. */
export const LEVELS_MAX = 10;

/** The name of a level in events, in plan files and in the database: "500" or "10%". */
export const levelName = (level: LowBalanceLevel): string =>
  'credits' in level ? level.credits.toString() : `${level.percent}%`;

/** The level of a name; null if it is no name of a level. */
export function parseLevelName(name: string): LowBalanceLevel | null {
  if (/^[1-9][0-9]{0,18}$/.test(name)) return { credits: BigInt(name) };
  const percent = /^([1-9][0-9]?|100)%$/.exec(name)?.[1];
  return percent === undefined ? null : { percent: Number(percent) };
}
