/** Keys that tell whether two commits ask for the same. */
import type { PricedUsage } from '../pricing/price.ts';
import { sha256 } from '../sha256.ts';
import { usagesJson } from './entry-content.ts';

export const creditsKey = (credits: bigint): string => `credits ${credits}`;

/** Two amounts with one key ask for the same: as many credits or, with usages, the same ones. */
export const amountKey = ({
  credits,
  lines,
}: {
  readonly credits: bigint;
  readonly lines: readonly PricedUsage[];
}): string =>
  lines.length === 0
    ? creditsKey(credits)
    : `usages ${sha256(usagesJson(lines)).toString('base64url')}`;
