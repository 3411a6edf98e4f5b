/** Makes accounts for tests, and reads what the service and the database hold of them. */

import type { GrantCreditsRequest } from '../src/gen/billing/v1/account_service.ts';
import type { StreamHistoryRequest } from '../src/gen/billing/v1/billing_service.ts';
import {
  type Balance,
  type Entry,
  type Grant,
  Grant_Category,
} from '../src/gen/billing/v1/ledger.ts';
import type { Usage } from '../src/gen/billing/v1/pricing.ts';
import { mapOf } from '../src/map-of.ts';
import { execute } from './postgres.ts';
import { requestId, type TestService } from './service.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Ten credits on the plan verts. */
export const UPSCALE: Usage = {
  operation: 'image.upscale',
  quantities: mapOf({ scale_factor: 2n }),
  attributes: new Map(),
  count: 1n,
};

/** One credit on the plan verts. */
export const INSPECT: Usage = {
  operation: 'file.inspect',
  quantities: new Map(),
  attributes: new Map(),
  count: 1n,
};

/** Opens an account with one paid grant that never expires; the plan verts grants nothing more. */
export async function openWithCredits(
  service: TestService,
  credits: bigint,
  planId = 'verts',
): Promise<string> {
  const accountId = await service.open(planId);
  await grant(service, accountId, credits);
  return accountId;
}

export async function grant(
  service: TestService,
  accountId: string,
  credits: bigint,
  more: Partial<Omit<GrantCreditsRequest, 'accountId' | 'requestId' | 'credits'>> = {},
): Promise<Grant> {
  const response = await service.accounts.grantCredits({
    reason: 'a test',
    accountId,
    requestId: requestId(),
    credits,
    category: Grant_Category.PAID,
    ...more,
  });
  return defined(response.grant);
}

/** Returns the id of a new reservation. */
export async function reserveCredits(
  service: TestService,
  accountId: string,
  credits: bigint,
): Promise<string> {
  const { reservation } = await service.billing.reserve({
    accountId,
    requestId: requestId(),
    credits,
  });
  return defined(reservation).reservationId;
}

export async function balanceOf(service: TestService, accountId: string): Promise<Balance> {
  return defined((await service.billing.getBalance({ accountId })).balance);
}

/** The entries that match the filter. */
export async function entriesOf(
  service: TestService,
  accountId: string,
  filter: Partial<Omit<StreamHistoryRequest, 'accountId'>> = {},
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const message of service.billing.streamHistory({ ...filter, accountId }))
    entries.push(...message.entries);
  return entries;
}

export async function newestEntry(service: TestService, accountId: string): Promise<Entry> {
  return defined((await entriesOf(service, accountId)).at(-1));
}

/** All rows that the database holds of an account, as text: if it is equal, nothing was written. */
export async function storedRows({ databaseUrl }: TestService, accountId: string): Promise<string> {
  const tables = ['accounts', 'grants', 'reservations', 'entries', 'purchases', 'refunded'];
  const selects = [...tables, 'custom_packs'].map(
    (table) =>
      `select '${table}' as from_table, to_jsonb(t) as content from ${table} t where account_id = $1`,
  );
  const rows = await execute(
    databaseUrl,
    `${selects.join(' union all ')} order by from_table, content`,
    [accountId],
  );
  return JSON.stringify(rows, null, 1);
}

/** Throws if a field of a message is not set. */
export function defined<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('a field is not set');
  return value;
}
