/** Recomputes the roll-forward sums of each account from its entries, up to its position, and compares the two. */
import { canonicalJson } from '../canonical.ts';
import type { StoredEntry } from '../ledger/entry.ts';
import type { Row } from '../pg/table.ts';
import {
  type RollForwardPosition,
  rollForwardPositions,
  rollForwardSums,
} from '../store/tables/roll-forward.ts';
import { type AccountGroup, grantsOf } from './account-group.ts';
import type { Report } from './findings.ts';
import { jsonTexts, readRow } from './readable-row.ts';
import { keyOf, type Paid, RollForwardReplay } from './roll-forward-replay.ts';
import { RowsByAccount } from './rows-by-account.ts';

/** The roll-forwards of a group of accounts. Their entries come in the order of the accounts. */
export class RollForwardAudit {
  readonly #group: AccountGroup;
  readonly #positions: ReadonlyMap<string, RollForwardPosition>;
  readonly #paid: ReadonlyMap<string, ReadonlyMap<bigint, Paid>>;
  readonly #sums: RowsByAccount;
  #current: { readonly accountId: string; readonly replay: RollForwardReplay } | null = null;

  private constructor(
    group: AccountGroup,
    positions: ReadonlyMap<string, RollForwardPosition>,
    paid: ReadonlyMap<string, ReadonlyMap<bigint, Paid>>,
  ) {
    this.#group = group;
    this.#positions = positions;
    this.#paid = paid;
    this.#sums = new RowsByAccount(
      group,
      (inRange) =>
        `select account_id, month, plan_id, category, currency, movement, credits::text, amount::text
         from ${rollForwardSums.name} where ${inRange('account_id')} order by account_id`,
      (row) =>
        group.findings.add(
          row['account_id']!,
          `roll-forward ${rowKey(row)}: no entry of the account explains it`,
        ),
    );
  }

  static async load(group: AccountGroup): Promise<RollForwardAudit> {
    return new RollForwardAudit(group, await loadPositions(group), await loadPaid(group));
  }

  async apply(entry: StoredEntry): Promise<void> {
    const { accountId } = entry;
    if (this.#current?.accountId !== accountId) {
      await this.#finishAccount();
      const paid = this.#paid.get(accountId) ?? NOTHING_PAID;
      const replay = new RollForwardReplay(grantsOf(this.#group, accountId), paid);
      this.#current = { accountId, replay };
    }
    const position = this.#positions.get(accountId);
    if (position && entry.seq <= position.seq) this.#current.replay.apply(entry);
  }

  async finish(): Promise<void> {
    await this.#finishAccount();
    await this.#sums.finish();
  }

  async #finishAccount() {
    if (!this.#current) return;
    const { accountId, replay } = this.#current;
    const report = (what: string) => this.#group.findings.add(accountId, `roll-forward ${what}`);
    const position = this.#positions.get(accountId);
    if (position) this.#checkPosition(position, replay, report);
    compareSums(replay, await this.#sums.of(accountId), report);
  }

  #checkPosition(
    { accountId, seq, planId, remaining }: RollForwardPosition,
    replay: RollForwardReplay,
    report: Report,
  ) {
    const newest = this.#group.accounts.get(accountId)?.seq ?? 0n;
    if (seq > newest) report(`is counted up to entry ${seq}, the newest is ${newest}`);
    if (seq > 0n && planId !== replay.planId)
      report(`goes on under the plan ${planId}, the entries say ${replay.planId}`);
    if (canonicalJson(remaining) !== canonicalJson(replay.remaining))
      report('goes on with other unspent credits than the entries say');
  }
}

const NOTHING_PAID: ReadonlyMap<bigint, Paid> = new Map();

function compareSums({ sums }: RollForwardReplay, rows: readonly Row[], report: Report) {
  const stated = new Map(rows.map((row) => [rowKey(row), row]));
  for (const [key, row] of stated) {
    const sum = sums.get(key);
    if (!sum) report(`${key}: no entry explains it`);
    else
      for (const name of ['credits', 'amount'] as const)
        if (row[name] !== `${sum[name]}`)
          report(`${key}: ${name} is ${row[name]}, the entries say ${sum[name]}`);
  }
  for (const key of sums.keys()) if (!stated.has(key)) report(`${key}: it is missing`);
}

const rowKey = (row: Row): string =>
  keyOf({
    month: row['month']!,
    planId: row['plan_id']!,
    category: row['category']!,
    currency: row['currency']!,
    movement: row['movement']!,
  });

async function loadPositions({
  snapshot,
  findings,
  accounts,
}: AccountGroup): Promise<ReadonlyMap<string, RollForwardPosition>> {
  const positions = new Map<string, RollForwardPosition>();
  const rows = snapshot.rows(
    (inRange) =>
      `select ${rollForwardPositions.selectList}, ${jsonTexts(rollForwardPositions)}
       from roll_forward_positions where ${inRange('account_id')}`,
  );
  for await (const row of rows) {
    const accountId: string = row['account_id']!;
    const report = (what: string) => findings.add(accountId, `roll_forward_positions: ${what}`);
    if (!accounts.has(accountId)) report('there is no such account');
    positions.set(accountId, readRow(rollForwardPositions, row, report));
  }
  return positions;
}

/** Currencies of ISO 4217 whose smallest unit is not a hundredth. */
const DECIMALS: Readonly<Record<number, string>> = {
  0: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF',
  3: 'BHD IQD JOD KWD LYD OMR TND',
};

function decimalsOf(currency: string): number {
  const found = Object.entries(DECIMALS).find(([, codes]) => codes.split(' ').includes(currency));
  return found ? Number(found[0]) : 2;
}

/** What was paid for the grants of purchases. */
async function loadPaid({
  snapshot,
  grants,
}: AccountGroup): Promise<ReadonlyMap<string, ReadonlyMap<bigint, Paid>>> {
  const paid = new Map<string, Map<bigint, Paid>>();
  const rows = snapshot.rows(
    (inRange) =>
      `select account_id, grant_id, coalesce(currency_paid, currency) as currency,
         coalesce(amount_paid, amount)::text as amount
       from purchases where ${inRange('account_id')} and state = 'PAID'`,
  );
  for await (const row of rows) {
    const accountId: string = row['account_id']!;
    const grantId = BigInt(row['grant_id'] ?? 0);
    const grant = grants.get(accountId)?.get(grantId);
    if (grant?.category !== 'PAID' || grant.source !== 'PURCHASE') continue;
    const currency: string = row['currency']!;
    const ofAccount = paid.get(accountId) ?? new Map<bigint, Paid>();
    ofAccount.set(grantId, { currency, price: toUnits(row['amount']!, decimalsOf(currency)) });
    paid.set(accountId, ofAccount);
  }
  return paid;
}

/** A decimal in the smallest unit, halves up. 0 for what is none: purchases.ts reports it. */
function toUnits(amount: string, decimals: number): bigint {
  if (!/^\d+(\.\d+)?$/.test(amount)) return 0n;
  const [whole = '0', fraction = ''] = amount.split('.');
  const digits = fraction.padEnd(decimals + 1, '0');
  const units = BigInt(whole + digits.slice(0, decimals));
  return digits.charAt(decimals) >= '5' ? units + 1n : units;
}
