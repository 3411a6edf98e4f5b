/** Addresses of charges. */
import type { ChargeKey, Entry } from '../messages.ts';
import { hrefOf } from '../router.tsx';

/** The page of a charge, by what it is about. */
export function chargeHref(key: ChargeKey | undefined): string {
  const { accountId = '', reservationId, purchaseId, entrySeq } = key ?? {};
  if (reservationId)
    return hrefOf(['charges', 'reservation', reservationId], { account: accountId });
  if (purchaseId) return hrefOf(['charges', 'purchase', purchaseId], { account: accountId });
  return entryHref(accountId, entrySeq);
}

export const entryHref = (accountId: string, seq: string | undefined): string =>
  hrefOf(['charges', 'entry', `${accountId}/${seq ?? ''}`]);

/** An entry among those before it. */
export const historyHref = ({ accountId = '', seq }: Pick<Entry, 'accountId' | 'seq'>): string =>
  hrefOf(['accounts', accountId, 'history'], { upto: seq });

/** "reservation 0198…", "entry 17". */
export function chargeName({ reservationId, purchaseId, entrySeq }: ChargeKey): string {
  if (reservationId) return `reservation ${reservationId}`;
  if (purchaseId) return `purchase ${purchaseId}`;
  return `entry ${entrySeq ?? ''}`;
}
