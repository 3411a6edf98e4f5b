/** Accounts as tests need them, and what became of them. */
import type { StreamHistoryRequest } from '../../src/gen/billing/v1/billing_service.ts';
import {
  type Balance,
  type Entry,
  type Grant,
  Grant_Category,
} from '../../src/gen/billing/v1/ledger.ts';
import type { Usage } from '../../src/gen/billing/v1/pricing.ts';
import { execute } from '../postgres.ts';
import { requestId, type TestService } from '../service.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Ten credits on the plan verts. */
export const UPSCALE: Usage = {
  operation: 'image.upscale',
  quantities: { scale_factor: 2n },
  attributes: {},
  count: 1n,
};

/** One credit on the plan verts. */
export const INSPECT: Usage = {
  operation: 'file.inspect',
  quantities: {},
  attributes: {},
  count: 1n,
};

/** A new account with one paid grant that never expires. Plan verts grants nothing by itself. */
export async function funded(
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
  more: { category?: Grant_Category; priority?: number; effectiveAt?: Date; expiresAt?: Date } = {},
): Promise<Grant> {
  const response = await service.accounts.grantCredits({
    accountId,
    requestId: requestId(),
    credits,
    category: Grant_Category.PAID,
    ...more,
  });
  return there(response.grant);
}

/** A reservation of so many credits; answers its id. */
export async function reserved(
  service: TestService,
  accountId: string,
  credits: bigint,
): Promise<string> {
  const { reservation } = await service.billing.reserve({
    accountId,
    requestId: requestId(),
    credits,
  });
  return there(reservation).reservationId;
}

export async function balanceOf(service: TestService, accountId: string): Promise<Balance> {
  return there((await service.billing.getBalance({ accountId })).balance);
}

/** Every entry that the filter lets through. */
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
  return there((await entriesOf(service, accountId)).at(-1));
}

/** All that the database holds of an account, as one text: equal texts, nothing written. */
export async function rowsOf({ databaseUrl }: TestService, accountId: string): Promise<string> {
  const tables = ['accounts', 'grants', 'reservations', 'entries', 'requests', 'purchases'];
  const selects = [...tables, 'refunded', 'custom_packs'].map(
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

/** A message field that must be set. */
export function there<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('a field that must be set is not');
  return value;
}
