/** Every paid purchase has made exactly one grant, by one PURCHASE entry; a pending one none. */
import { millis, type Row } from '../store/rows.ts';
import { accountOf, type Group, grantsOf } from './group.ts';
import { instant } from './replay.ts';
import type { Within } from './snapshot.ts';

/** Each purchase beside the entry that made its grant. Neither has to be there. */
const purchases = (within: Within) => `
  select account_id, grant_id, p.purchase_id, p.state, p.credits, p.payment_reference, p.paid_at,
    e.seq, e.credits as entry_credits, e.reference, e.at
  from (
    select account_id, grant_id, purchase_id, state, credits, payment_reference, ${millis('paid_at')}
    from purchases where ${within('account_id')}
  ) p
  full join (
    select account_id, grant_id, seq, credits, reference, ${millis('at')}
    from entries where ${within('account_id')} and kind = 'PURCHASE'
  ) e using (account_id, grant_id)
  order by account_id, grant_id, p.purchase_id, e.seq`;

export async function checkPurchases(group: Group): Promise<void> {
  let before: Row | null = null;
  for await (const row of group.snapshot.rows(purchases)) {
    if (!accountOf(group, row, 'purchases')) continue;
    checkPurchase(group, row);
    if (row['grant_id'] !== null && isOfTheSameGrant(row, before))
      group.findings.add(
        row['account_id']!,
        `grant ${row['grant_id']}: more than one purchase or PURCHASE made it`,
      );
    before = row;
  }
}

const isOfTheSameGrant = (row: Row, before: Row | null): boolean =>
  before?.['account_id'] === row['account_id'] && before?.['grant_id'] === row['grant_id'];

function checkPurchase(group: Group, row: Row) {
  const accountId: string = row['account_id']!;
  const purchaseId: string | null = row['purchase_id']!;
  if (purchaseId === null)
    return group.findings.add(
      accountId,
      `entry ${row['seq']}: there is no purchase of grant ${row['grant_id']}`,
    );
  const tell = (what: string) => group.findings.add(accountId, `purchase ${purchaseId}: ${what}`);
  if (row['state'] === 'PENDING') return;
  if (row['seq'] === null) return tell('it is paid, and no entry granted its credits');
  const agree = (name: string, stated: unknown, said: unknown, where = `entry ${row['seq']}`) => {
    if (stated !== said) tell(`${name} is ${stated}, ${where} says ${said}`);
  };
  agree('credits', BigInt(row['credits']!), BigInt(row['entry_credits']!));
  agree('payment_reference', row['payment_reference'], row['reference']);
  agree('paid_at', instant(row['paid_at']!), instant(row['at']!));
  const grantId = BigInt(row['grant_id']!);
  const grant = grantsOf(group, accountId).get(grantId);
  if (grant) agree('purchase_id', purchaseId, grant.sourceReference, `grant ${grantId}`);
}
