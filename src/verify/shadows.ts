/**
 * What shadow mode keeps of accounts: decisions without gaps, and what they would have used is the sum of their moves.
 * They move no credits, so nothing of it is in the hash chain.
 */

import type { Account } from '../ledger/account.ts';
import type { EntryKind, Move } from '../ledger/entry.ts';
import type { StoredContent } from '../ledger/entry-content.ts';
import { readContent } from '../ledger/entry-content.ts';
import type { Row } from '../pg/table.ts';
import { shadowDecisions, shadowUse } from '../store/tables/shadows.ts';
import { type AccountGroup, findAccount } from './account-group.ts';
import type { Report } from './findings.ts';
import { overageUsed } from './moves.ts';
import { intervalAt } from './zone-periods.ts';

/** seq before the first decision. */
const BEFORE_FIRST = 1_000_000_000_000_000n;

const decision = shadowDecisions.pick('accountId', 'seq', 'at', 'kind', 'refundedSeq', 'content');

/** Credits of a grant that decisions took, and that their jobs hold. */
type Sums = { spent: bigint; reserved: bigint };
type Use = ReturnType<typeof shadowUse.read>;
/** A decision, but for its moves. */
type Decided = { readonly seq: bigint; readonly at: number; readonly refundedSeq: bigint | null };
/** What its content says of it. */
type Content = { readonly moves: readonly Move[]; readonly usedAt: number | null };

export async function checkShadows(group: AccountGroup): Promise<void> {
  const uses = new Map<string, Use | null>();
  const useRows = group.snapshot.rows(
    (inRange) => `select ${shadowUse.selectList} from shadow_use where ${inRange('account_id')}`,
  );
  for await (const row of useRows)
    if (findAccount(group, row, 'shadow_use')) uses.set(row['account_id']!, readUse(row, group));
  const replays = new Map<string, Replay>();
  const rows = group.snapshot.rows(
    (inRange) =>
      `select ${decision.selectList} from shadow_decisions where ${inRange('account_id')}
       order by account_id, seq`,
  );
  for await (const row of rows) {
    const account = findAccount(group, row, 'shadow_decisions');
    if (!account) continue;
    const { accountId, seq, kind, content, ...decided } = decision.read(row);
    const report = (what: string) =>
      group.findings.add(accountId, `shadow decision ${seq}: ${what}`);
    const replay =
      replays.get(accountId) ?? new Replay(account, uses.get(accountId)?.sinceSeq ?? 0n);
    replays.set(accountId, replay);
    replay.add({ seq, ...decided }, readDecision(content, kind, report), report);
  }
  for (const [accountId, use] of uses) {
    const report = (what: string) => group.findings.add(accountId, `shadow mode: ${what}`);
    const account = group.accounts.get(accountId);
    if (use && account)
      (replays.get(accountId) ?? new Replay(account, use.sinceSeq)).compare(use, report);
    replays.delete(accountId);
  }
  for (const accountId of replays.keys())
    group.findings.add(accountId, 'shadow mode: it has decisions, and no row of what they use');
}

/** Null: `used` may be anything, and is not what the service writes. */
function readUse(row: Row, { findings }: AccountGroup): Use | null {
  try {
    return shadowUse.read(row);
  } catch (error) {
    const why = error instanceof Error ? error.message : error;
    findings.add(row['account_id']!, `shadow mode: what it has used cannot be read: ${why}`);
    return null;
  }
}

function readDecision(content: StoredContent, kind: EntryKind, report: Report): Content {
  try {
    return readContent(content, kind);
  } catch (error) {
    report(`its content cannot be read: ${error instanceof Error ? error.message : error}`);
    return { moves: [], usedAt: null };
  }
}

class Replay {
  readonly #timeZones: Account['timeZones'];
  readonly #sinceSeq: bigint;
  readonly #grants = new Map<bigint, Sums>();
  /** When overage was used: late usage, or a refund in a later month, leaves the count of the month of then as it is. */
  readonly #overageAt = new Map<bigint, number>();
  #seq = BEFORE_FIRST;
  #overage = 0n;
  /** Where the month begins that it is of. */
  #overageMonth = 0;
  #overageReserved = 0n;

  /** What was spent up to `sinceSeq` does not count any more; what jobs hold since then does. */
  constructor({ timeZones }: Account, sinceSeq: bigint) {
    this.#timeZones = timeZones;
    this.#sinceSeq = sinceSeq;
  }

  add({ seq, at, refundedSeq }: Decided, { moves, usedAt: own }: Content, report: Report) {
    if (seq !== this.#seq + 1n) report(`follows ${this.#seq}`);
    this.#seq = seq;
    const isOfMode = seq > this.#sinceSeq;
    const month = this.#monthOf(at);
    if (isOfMode && month !== this.#overageMonth) {
      this.#overage = 0n;
      this.#overageMonth = month;
    }
    // What was charged before the mode began is not in what it uses, so its refund gives nothing back.
    const isCounted = isOfMode && (refundedSeq === null || refundedSeq > this.#sinceSeq);
    const usedAt = this.#overageAt.get(refundedSeq ?? 0n) ?? own ?? at;
    const isOfMonth = isCounted && this.#monthOf(usedAt) === month;
    for (const move of moves) {
      if (move.grantId === 0n) this.#addOverage(seq, usedAt, move, isOfMonth);
      else this.#addToGrant(move, isCounted);
    }
  }

  #addToGrant({ from, to, grantId, credits }: Move, isCounted: boolean) {
    const sums = this.#grants.get(grantId) ?? { spent: 0n, reserved: 0n };
    this.#grants.set(grantId, sums);
    const isLeft = (bucket: Move['from']) => bucket === 'available' || bucket === 'reserved';
    if (to === 'reserved') sums.reserved += credits;
    if (from === 'reserved') sums.reserved -= credits;
    if (!isCounted) return;
    if (isLeft(from)) sums.spent += credits;
    if (isLeft(to)) sums.spent -= credits;
  }

  #addOverage(seq: bigint, usedAt: number, move: Move, isOfMonth: boolean) {
    const { from, to, credits } = move;
    if (to === 'overage_reserved') this.#overageReserved += credits;
    if (from === 'overage_reserved') this.#overageReserved -= credits;
    const used = overageUsed(move);
    if (used === 0n) return;
    this.#overageAt.set(seq, usedAt);
    if (isOfMonth) this.#overage += used;
  }

  #monthOf = (at: number): number => intervalAt(this.#timeZones, 'MONTH', at).from;

  compare(use: Use, report: Report) {
    if (use.seq !== this.#seq) report(`its newest decision is ${this.#seq}, it says ${use.seq}`);
    for (const grantId of new Set([...this.#grants.keys(), ...use.grants.keys()])) {
      const said = use.grants.get(grantId) ?? { spent: 0n, reserved: 0n };
      const sums = this.#grants.get(grantId) ?? { spent: 0n, reserved: 0n };
      for (const name of ['spent', 'reserved'] as const)
        if (said[name] !== sums[name])
          report(`${name} of grant ${grantId} is ${said[name]}, its decisions say ${sums[name]}`);
    }
    const sums = {
      overage: this.#overage,
      overageMonth: this.#overageMonth,
      overageReserved: this.#overageReserved,
    };
    for (const name of ['overage', 'overageMonth', 'overageReserved'] as const)
      if (use[name] !== sums[name])
        report(`${NAMES[name]} is ${use[name]}, its decisions say ${sums[name]}`);
  }
}

/** As they are stored. */
const NAMES = {
  overage: 'overage',
  overageMonth: 'overage_month',
  overageReserved: 'overage_reserved',
} as const;
