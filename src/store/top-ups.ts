/** Top-ups in the database: as JSON on the account's row, and the accounts whose top-up is due. */
import { canonicalJson } from '../canonical.ts';
import type { AutoTopUp, TopUps } from '../ledger/top-up.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';

export type StoredAutoTopUp = {
  readonly pack_id: string;
  readonly threshold: number | string;
  readonly cool_down_ms: number;
  readonly monthly_cap: number;
  readonly customer: string;
  readonly payment_method: string;
};

export const autoTopUpJson = (setting: AutoTopUp | null): string | null =>
  setting &&
  canonicalJson({
    pack_id: setting.packId,
    threshold: setting.threshold,
    cool_down_ms: setting.coolDownMs,
    monthly_cap: setting.monthlyCap,
    customer: setting.customer,
    payment_method: setting.paymentMethod,
  });

export const toAutoTopUp = (stored: StoredAutoTopUp | null): AutoTopUp | null =>
  stored && {
    packId: stored.pack_id,
    threshold: BigInt(stored.threshold),
    coolDownMs: stored.cool_down_ms,
    monthlyCap: stored.monthly_cap,
    customer: stored.customer,
    paymentMethod: stored.payment_method,
  };

/** Instants are epoch milliseconds. */
export type StoredTopUps = {
  readonly purchase_id: string | null;
  readonly look_again_at: number | null;
  readonly started_at: number | null;
  readonly month: number;
  readonly count: number;
  readonly failures: number;
  readonly retry_at: number | null;
};

export const topUpsJson = (topUps: TopUps | null): string | null =>
  topUps &&
  canonicalJson({
    purchase_id: topUps.purchaseId,
    look_again_at: topUps.leaseExpiresAt,
    started_at: topUps.startedAt,
    month: topUps.month,
    count: topUps.count,
    failures: topUps.failures,
    retry_at: topUps.retryAt,
  });

export const toTopUps = (stored: StoredTopUps | null): TopUps | null =>
  stored && {
    purchaseId: stored.purchase_id,
    leaseExpiresAt: stored.look_again_at,
    startedAt: stored.started_at,
    month: stored.month,
    count: stored.count,
    failures: stored.failures,
    retryAt: stored.retry_at,
  };

/** Up to `limit` accounts whose top-up is due, the longest due first. */
export async function accountsToTopUp(em: Em, now: number, limit: number): Promise<string[]> {
  const rows = await query<{ account_id: string }>(
    em,
    `select account_id from accounts where top_up_due_at <= to_timestamp($1::float8 / 1000)
     order by top_up_due_at limit $2`,
    [now, limit],
  );
  return rows.map((row) => row.account_id);
}
