/** Recomputes the usage rollups of each account from its entries, up to its position, and compares the two. */

import { canonicalJson } from '../canonical.ts';
import type { StoredEntry } from '../ledger/entry.ts';
import { millis } from '../pg/millis.ts';
import type { Row } from '../pg/table.ts';
import {
  type UsagePosition,
  usagePositions,
  usageQuantities,
  usageRollups,
} from '../store/tables/usage-rollups.ts';
import { type AccountGroup, erasureOf } from './account-group.ts';
import type { Report } from './findings.ts';
import { jsonTexts, readRow } from './readable-row.ts';
import { RowsByAccount } from './rows-by-account.ts';
import type { InRange, Snapshot } from './snapshot.ts';
import { keyOf, keyText, UsageReplay } from './usage-replay.ts';

const KEY = `label, ${millis('hour')}, operation, caller, plan_id, rate_card_version, beyond, label_value`;

const rollupsInOrder = (inRange: InRange) =>
  `select account_id, ${KEY}, count::text, credits::text, refunded::text from ${usageRollups.name}
   where ${inRange('account_id')} order by account_id`;

const quantitiesInOrder = (inRange: InRange) =>
  `select account_id, ${KEY}, quantity, total::text from ${usageQuantities.name}
   where ${inRange('account_id')} order by account_id`;

/** The usage of a group of accounts. Their entries come in the order of the accounts. */
export class UsageAudit {
  readonly #group: AccountGroup;
  readonly #positions: ReadonlyMap<string, UsagePosition>;
  readonly #refundedSeqs: ReadonlyMap<string, ReadonlySet<bigint>>;
  readonly #rollups: RowsByAccount;
  readonly #quantities: RowsByAccount;
  #current: { readonly accountId: string; readonly replay: UsageReplay } | null = null;

  private constructor(
    group: AccountGroup,
    positions: ReadonlyMap<string, UsagePosition>,
    refundedSeqs: ReadonlyMap<string, ReadonlySet<bigint>>,
  ) {
    const unexplained = (row: Row) =>
      group.findings.add(
        row['account_id']!,
        `${rowText(row)}: no entry of the account explains it`,
      );
    this.#group = group;
    this.#positions = positions;
    this.#refundedSeqs = refundedSeqs;
    this.#rollups = new RowsByAccount(group, rollupsInOrder, unexplained);
    this.#quantities = new RowsByAccount(group, quantitiesInOrder, unexplained);
  }

  static async load(group: AccountGroup): Promise<UsageAudit> {
    return new UsageAudit(
      group,
      await loadPositions(group),
      await loadRefundedSeqs(group.snapshot),
    );
  }

  async apply(accountId: string, entry: StoredEntry): Promise<void> {
    if (this.#current?.accountId !== accountId) {
      await this.#finishAccount();
      const refunded = this.#refundedSeqs.get(accountId) ?? NONE;
      this.#current = { accountId, replay: new UsageReplay(refunded) };
    }
    const position = this.#positions.get(accountId);
    if (position && entry.seq <= position.seq) this.#current.replay.apply(entry);
  }

  async finish(): Promise<void> {
    await this.#finishAccount();
    await this.#rollups.finish();
    await this.#quantities.finish();
  }

  async #finishAccount() {
    if (!this.#current) return;
    const { accountId, replay } = this.#current;
    const report = (what: string) => this.#group.findings.add(accountId, what);
    const position = this.#positions.get(accountId);
    this.#checkPosition(accountId, position, replay, report);
    // An erasure that is not counted yet has taken labels from entries, and leaves those of the rollups.
    const hasLabels = erasureOf(this.#group, accountId).seq <= (position?.seq ?? 0n);
    const isCompared = (row: Row) => hasLabels || (row['label'] === '' && !row['beyond']);
    const rollups = (await this.#rollups.of(accountId)).filter(isCompared);
    const quantities = (await this.#quantities.of(accountId)).filter(isCompared);
    compareRollups(replay, rollups, hasLabels, report);
    compareQuantities(replay, quantities, hasLabels, report);
  }

  #checkPosition(
    accountId: string,
    position: UsagePosition | undefined,
    { labels }: UsageReplay,
    report: Report,
  ) {
    const newest = this.#group.accounts.get(accountId)?.seq ?? 0n;
    if (!position) return;
    if (position.seq > newest)
      report(`usage is counted up to entry ${position.seq}, the newest is ${newest}`);
    if (erasureOf(this.#group, accountId).seq > position.seq) return;
    if (canonicalJson(position.labels) !== canonicalJson(labels))
      report('the labels that have usage of their own are not those of the entries');
  }
}

const NONE: ReadonlySet<bigint> = new Set();

function compareRollups(
  replay: UsageReplay,
  rows: readonly Row[],
  hasLabels: boolean,
  report: Report,
) {
  const stated = new Map(rows.map((row) => [rowKey(row), row]));
  for (const [key, row] of stated) {
    const sums = replay.rows.get(key);
    if (!sums) report(`${keyText(key)}: no entry explains it`);
    else
      for (const name of ['count', 'credits', 'refunded'] as const)
        if (row[name] !== `${sums[name]}`)
          report(`${keyText(key)}: ${name} is ${row[name]}, the entries say ${sums[name]}`);
  }
  for (const key of comparedKeys(replay, hasLabels))
    if (!stated.has(key)) report(`${keyText(key)}: it is missing`);
}

function compareQuantities(
  replay: UsageReplay,
  rows: readonly Row[],
  hasLabels: boolean,
  report: Report,
) {
  const stated = new Set<string>();
  for (const row of rows) {
    const key = rowKey(row);
    const quantity: string = row['quantity']!;
    const total = replay.rows.get(key)?.quantities.get(quantity);
    stated.add(JSON.stringify([key, quantity]));
    if (row['total'] !== `${total}`)
      report(`${keyText(key)}: ${quantity} is ${row['total']}, the entries say ${total ?? 'none'}`);
  }
  for (const key of comparedKeys(replay, hasLabels))
    for (const [quantity, total] of replay.rows.get(key)?.quantities ?? [])
      if (!stated.has(JSON.stringify([key, quantity])))
        report(`${keyText(key)}: ${quantity} is missing, the entries say ${total}`);
}

const comparedKeys = (replay: UsageReplay, hasLabels: boolean): Iterable<string> =>
  hasLabels ? replay.rows.keys() : replay.undividedKeys();

const rowText = (row: Row): string => keyText(rowKey(row));

const rowKey = (row: Row): string =>
  keyOf({
    hour: row['hour']!,
    operation: row['operation']!,
    caller: row['caller']!,
    planId: row['plan_id']!,
    rateCardVersion: row['rate_card_version']!,
    label: row['label']!,
    labelValue: row['label_value']!,
    beyond: row['beyond']!,
  });

async function loadPositions({
  snapshot,
  findings,
  accounts,
}: AccountGroup): Promise<ReadonlyMap<string, UsagePosition>> {
  const positions = new Map<string, UsagePosition>();
  const rows = snapshot.rows(
    (inRange) =>
      `select ${usagePositions.selectList}, ${jsonTexts(usagePositions)} from usage_positions
       where ${inRange('account_id')}`,
  );
  for await (const row of rows) {
    const accountId: string = row['account_id']!;
    const report = (what: string) => findings.add(accountId, `usage_positions: ${what}`);
    if (!accounts.has(accountId)) report('there is no such account');
    positions.set(accountId, readRow(usagePositions, row, report));
  }
  return positions;
}

async function loadRefundedSeqs(
  snapshot: Snapshot,
): Promise<ReadonlyMap<string, ReadonlySet<bigint>>> {
  const seqs = new Map<string, Set<bigint>>();
  const rows = snapshot.rows(
    (inRange) =>
      `select account_id, refunded_seq from entries
       where ${inRange('account_id')} and refunded_seq is not null`,
  );
  for await (const row of rows) {
    const accountId: string = row['account_id']!;
    const ofAccount = seqs.get(accountId) ?? new Set<bigint>();
    seqs.set(accountId, ofAccount.add(BigInt(row['refunded_seq']!)));
  }
  return seqs;
}
