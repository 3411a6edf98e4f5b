/** Claims of credits on the quota row of a caller: one statement each, outside of units of work. */
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';

export type QuotaClaim = {
  readonly caller: string;
  /** UTC day, counted from 1970-01-01. */
  readonly day: number;
  readonly credits: bigint;
};

/** Counts the claim if the day's sum stays within `limit`. Returns what was used before, and whether it did. */
export async function claimQuota(
  em: Em,
  { caller, day, credits }: QuotaClaim,
  limit: bigint,
): Promise<{ readonly isClaimed: boolean; readonly used: bigint }> {
  if (credits <= limit) {
    const [claimed] = await query<{ credits: string }>(
      em,
      `insert into caller_quotas as quota (caller, day, credits) values ($1, $2, $3)
       on conflict (caller) do update set day = excluded.day,
         credits = excluded.credits + case when quota.day = excluded.day then quota.credits else 0 end
       where quota.day < excluded.day or (quota.day = excluded.day and quota.credits <= $4 - excluded.credits)
       returning credits`,
      [caller, day, credits, limit],
    );
    if (claimed) return { isClaimed: true, used: BigInt(claimed.credits) - credits };
  }
  const [row] = await query<{ credits: string }>(
    em,
    'select credits from caller_quotas where caller = $1 and day >= $2',
    [caller, day],
  );
  return { isClaimed: false, used: BigInt(row?.credits ?? 0) };
}

/** Takes a claim back, of a mutation that had no effect. */
export async function returnQuota(em: Em, { caller, day, credits }: QuotaClaim): Promise<void> {
  await query(
    em,
    'update caller_quotas set credits = credits - $3 where caller = $1 and day = $2 and credits >= $3',
    [caller, day, credits],
  );
}
