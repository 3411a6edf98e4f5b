/** Compares refunds with the commits and charges they refund, and with the rows that count them. */
import type { Row } from '../pg/table.ts';
import { kindCodes } from '../store/tables/codes.ts';
import { type AccountGroup, findAccount, groupRows } from './account-group.ts';
import { kindOf, movesOf } from './entry-rows.ts';
import { OVERAGE } from './moves.ts';
import type { InRange } from './snapshot.ts';

/** Refunds joined with the rows that count them and the entries they refund. Any may be missing. */
const refunds = (inRange: InRange) => `
  select g.*, o.kind as refunded_kind, o.content as refunded_content,
    row(g.plan_id, g.rate_card_version)
      is not distinct from row(o.plan_id, o.rate_card_version) as same_rate_card,
    g.reservation_id is not distinct from o.reservation_id as same_reservation
  from (
    select * from (
      select account_id, refunded_seq, seq, content, plan_id, rate_card_version, reservation_id from entries
      where ${inRange('account_id')} and kind = ${kindCodes('REFUND')} and refunded_seq is not null
    ) r
    full join (
      select account_id, seq as refunded_seq, committed, refunded from refunded
      where ${inRange('account_id')}
    ) f using (account_id, refunded_seq)
  ) g
  left join entries o on o.account_id = g.account_id and o.seq = g.refunded_seq
  order by g.account_id, g.refunded_seq, g.seq`;

/** Stands for what nothing had paid, beside the grants and overage. */
const OWED = -1n;

export async function checkRefunds(group: AccountGroup): Promise<void> {
  for await (const refundRows of groupRows(group.snapshot.rows(refunds), 'refunded_seq')) {
    const [row] = refundRows;
    if (!findAccount(group, row, 'refunds')) continue;
    const given = new Map<bigint, bigint>();
    for (const { content } of refundRows)
      for (const { to, grantId, credits } of movesOf(content)) {
        const source = grantId === OVERAGE && to !== 'overage' ? OWED : grantId;
        given.set(source, (given.get(source) ?? 0n) + credits);
      }
    checkRefunded(group, row, given);
    for (const refundRow of refundRows) if (refundRow['seq'] !== null) checkTerms(group, refundRow);
  }
}

function checkTerms({ findings }: AccountGroup, row: Row) {
  const report = (what: string) => findings.add(row['account_id']!, `entry ${row['seq']}: ${what}`);
  if (!row['same_rate_card']) report('is of another rate card than what it refunds');
  if (!row['same_reservation']) report('is of another reservation than what it refunds');
}

/** Compares the credits that refunds gave back, by grant, with those that the entry had taken. */
function checkRefunded(group: AccountGroup, row: Row, given: ReadonlyMap<bigint, bigint>) {
  const report = (what: string) =>
    group.findings.add(row['account_id']!, `refunds of entry ${row['refunded_seq']}: ${what}`);
  const kind = kindOf(row['refunded_kind']);
  if (kind !== 'COMMIT' && kind !== 'CHARGE') return report(`it is ${kind ?? 'not there'}`);
  const taken = new Map<bigint, bigint>();
  for (const { from, to, grantId, credits } of movesOf(row['refunded_content'])) {
    const source = from === 'owed' ? OWED : grantId;
    if (to === 'consumed') taken.set(source, (taken.get(source) ?? 0n) + credits);
  }
  for (const [grantId, credits] of given) {
    const before = taken.get(grantId) ?? 0n;
    if (credits > before)
      report(`they give ${credits} back to grant ${grantId}, it took ${before}`);
  }
  if (row['refunded'] === null) return report('no row counts them');
  const compare = (name: string, stated: bigint, computed: bigint) => {
    if (stated !== computed) report(`${name} is ${stated}, the entries say ${computed}`);
  };
  compare('committed', BigInt(row['committed']!), total(taken));
  compare('refunded', BigInt(row['refunded']!), total(given));
}

const total = (credits: ReadonlyMap<bigint, bigint>): bigint =>
  [...credits.values()].reduce((sum, some) => sum + some, 0n);
