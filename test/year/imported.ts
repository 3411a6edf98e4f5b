/**
 * Accounts that another system has kept for a year, each with twelve purchases: `scrip import` takes them over at the
 * first moment of the simulated year, and their customers go on from there.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importFile } from '../../src/cli/import/import-file.ts';
import { isSame } from '../../src/cli/import/sums.ts';
import type { Scrip } from '../../src/client.ts';
import { dayOf, monthOf } from './calendar.ts';
import type { PlanId } from './customer.ts';
import { EMPTY_RESPONSE, type LogEntry, type LoggedRequest } from './usage-log.ts';

type ImportRequest = Extract<LoggedRequest, { kind: 'import' }>;
type NewAccount = { readonly accountId: string; readonly planId: PlanId };

/** What the accounts of a plan have bought each month. */
const PACKS: Readonly<Record<PlanId, { packId: string; credits: number; price: string }>> = {
  'aspose-cloud': { packId: 'prepaid-1000', credits: 1_000, price: '20.00 USD' },
  perfectparser: { packId: 'starter', credits: 100, price: '19.00 USD' },
  verts: { packId: 'starter', credits: 1_000, price: '5.00 USD' },
};
const PURCHASES = 12;
/** The purchases that are spent. The next one is spent in part. */
const SPENT = 10;
const WELCOME = 20;
const ALLOWANCE = 50;

/** Imports the accounts at `now`, and returns what the log has of them. Throws where the sums are not equal. */
export async function importAccounts(
  scrip: Scrip,
  accounts: readonly NewAccount[],
  now: number,
): Promise<readonly LogEntry[]> {
  const folder = await mkdtemp(join(tmpdir(), 'scrip-year-import-'));
  const path = join(folder, 'accounts.jsonl');
  const requests = accounts.map(({ planId }, index) => requestOf(planId, index, now));
  const lines = accounts.map((account, index) =>
    JSON.stringify(recordOf(account, requests[index] as ImportRequest, now)),
  );
  await writeFile(path, `${lines.join('\n')}\n`);
  try {
    const { imported, file, ledger } = await importFile(scrip, {
      ...{ path, system: 'another-system', file: 'accounts.jsonl', validateOnly: false },
      onMistake: ({ line, message }) => {
        throw new Error(`import: line ${line}: ${message}`);
      },
      onProgress: () => {},
    });
    if (imported !== accounts.length || ledger === null || !isSame(file, ledger))
      throw new Error('import: the sums of the file are not those of the ledger');
  } finally {
    await rm(folder, { recursive: true });
  }
  return accounts.map(({ accountId }, index) => ({
    at: now,
    accountId,
    request: requests[index] as ImportRequest,
    response: EMPTY_RESPONSE,
  }));
}

/** The middle of a month of the year before. */
const paidAt = (number: number, now: number): number =>
  Date.UTC(new Date(now).getUTCFullYear() - 1, number, 15, 10, number);

function requestOf(planId: PlanId, index: number, now: number): ImportRequest {
  const { packId, credits } = PACKS[planId];
  // Grants are numbered by their dates: welcome credits come before the first purchase.
  const first = planId === 'perfectparser' ? 2n : 1n;
  return {
    kind: 'import',
    planId,
    purchases: Array.from({ length: PURCHASES }, (_, number) => {
      const spent = number < SPENT ? credits : number === SPENT ? index % credits : 0;
      return {
        ...{ grantId: first + BigInt(number), packId, paidAt: paidAt(number, now) },
        left: BigInt(credits - spent),
      };
    }),
  };
}

function recordOf({ accountId, planId }: NewAccount, request: ImportRequest, now: number): object {
  const { credits, price } = PACKS[planId];
  const openedAt = `${new Date(now).getUTCFullYear() - 1}-01-10`;
  const allowance = {
    ...{ source: 'allowance', credits: ALLOWANCE, effective_at: `${monthOf(now)}-01` },
  };
  const welcome = {
    ...{ source: 'welcome', credits: WELCOME, spent: WELCOME, effective_at: openedAt },
  };
  return {
    ...{ account_id: accountId, plan_id: planId, opened_at: openedAt, reference: dayOf(now) },
    grants: planId === 'aspose-cloud' ? [allowance] : planId === 'perfectparser' ? [welcome] : [],
    purchases: request.purchases.map(({ packId, paidAt, left }, number) => ({
      ...{ pack_id: packId, credits, price, paid_at: new Date(paidAt).toISOString() },
      ...{ payment_reference: `old-order-${number}`, spent: credits - Number(left) },
    })),
  };
}
