/**
 * What shadow mode keeps of accounts: decisions without gaps, and what they would have used is the sum of their moves.
 * They move no credits, so nothing of it is in the hash chain.
 */

import type { EntryKind, Move } from '../ledger/entry.ts';
import type { StoredContent } from '../ledger/entry-content.ts';
import { readContent } from '../ledger/entry-content.ts';
import type { Row } from '../pg/table.ts';
import { shadowDecisions, shadowUse } from '../store/tables/shadows.ts';
import { type AccountGroup, findAccount } from './account-group.ts';
import type { Report } from './findings.ts';

/** seq before the first decision. */
const BEFORE_FIRST = 1_000_000_000_000_000n;

const decision = shadowDecisions.pick('accountId', 'seq', 'at', 'kind', 'content');

/** Credits of a grant that decisions took, and that their jobs hold. */
type Sums = { spent: bigint; reserved: bigint };
type Use = ReturnType<typeof shadowUse.read>;

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
    if (!findAccount(group, row, 'shadow_decisions')) continue;
    const { accountId, seq, kind, content } = decision.read(row);
    const report = (what: string) =>
      group.findings.add(accountId, `shadow decision ${seq}: ${what}`);
    const replay = replays.get(accountId) ?? new Replay(uses.get(accountId)?.sinceSeq ?? 0n);
    replays.set(accountId, replay);
    replay.add(seq, movesOf(content, kind, report), report);
  }
  for (const [accountId, use] of uses) {
    const report = (what: string) => group.findings.add(accountId, `shadow mode: ${what}`);
    if (use) (replays.get(accountId) ?? new Replay(use.sinceSeq)).compare(use, report);
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

function movesOf(content: StoredContent, kind: EntryKind, report: Report): readonly Move[] {
  try {
    return readContent(content, kind).moves;
  } catch (error) {
    report(`its content cannot be read: ${error instanceof Error ? error.message : error}`);
    return [];
  }
}

class Replay {
  readonly #sinceSeq: bigint;
  readonly #grants = new Map<bigint, Sums>();
  #seq = BEFORE_FIRST;

  /** What was spent up to `sinceSeq` does not count any more; what jobs hold since then does. */
  constructor(sinceSeq: bigint) {
    this.#sinceSeq = sinceSeq;
  }

  add(seq: bigint, moves: readonly Move[], report: Report) {
    if (seq !== this.#seq + 1n) report(`follows ${this.#seq}`);
    this.#seq = seq;
    for (const { from, to, grantId, credits } of moves) {
      if (grantId === 0n) continue;
      const sums = this.#grants.get(grantId) ?? { spent: 0n, reserved: 0n };
      this.#grants.set(grantId, sums);
      const isLeft = (bucket: Move['from']) => bucket === 'available' || bucket === 'reserved';
      if (to === 'reserved') sums.reserved += credits;
      if (from === 'reserved') sums.reserved -= credits;
      if (seq <= this.#sinceSeq) continue;
      if (isLeft(from)) sums.spent += credits;
      if (isLeft(to)) sums.spent -= credits;
    }
  }

  compare(use: Use, report: Report) {
    if (use.seq !== this.#seq) report(`its newest decision is ${this.#seq}, it says ${use.seq}`);
    for (const grantId of new Set([...this.#grants.keys(), ...use.grants.keys()])) {
      const said = use.grants.get(grantId) ?? { spent: 0n, reserved: 0n };
      const sums = this.#grants.get(grantId) ?? { spent: 0n, reserved: 0n };
      for (const name of ['spent', 'reserved'] as const)
        if (said[name] !== sums[name])
          report(`${name} of grant ${grantId} is ${said[name]}, its decisions say ${sums[name]}`);
    }
  }
}
