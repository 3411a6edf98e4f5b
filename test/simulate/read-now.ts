/** Sends a read. */
import type { Scrip } from '../../src/client.ts';
import type { Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { trialOf } from './to-import.ts';
import { toUsages } from './to-request.ts';
import type { ReadSpec } from './trace.ts';

/** `subject` is the id or instant in milliseconds that it is about; of an import, when it is asked. Empty: none. */
export function readNow(
  { billing, accounts }: Scrip,
  spec: ReadSpec,
  accountId: string,
  subject: string,
): Promise<object> {
  switch (spec.read) {
    case 'balance':
      return billing.getBalance({ accountId, includeGrants: spec.grants });
    case 'past balance': {
      const { point, buckets } = spec;
      return billing.getPastBalance({
        accountId,
        point:
          'seq' in point
            ? { $case: 'seq', value: BigInt(point.seq) }
            : { $case: 'at', value: new Date(Number(subject)) },
        includeBuckets: buckets,
      });
    }
    case 'entries':
      return billing.listEntries({
        accountId,
        pageSize: spec.pageSize,
        kinds: [...((spec.kinds ?? []) as readonly Entry_Kind[])],
        operation: spec.operation ?? '',
        reference: spec.reference ?? '',
        reservationId: subject,
        entryRequestId: spec.requestId ?? '',
        labelKeys: spec.labelKey === undefined ? [] : [spec.labelKey],
        beforeSeq: BigInt(spec.beforeSeq ?? 0),
      });
    case 'purchase estimate':
      return billing.estimatePurchase({ accountId, packId: spec.pack, quantity: spec.quantity });
    case 'estimate':
      return billing.estimate({ accountId, usages: toUsages(spec.usages) });
    case 'reservation':
      return billing.getReservation({ accountId, reservationId: subject });
    case 'reservations':
      return billing.listReservations({
        accountId,
        pageSize: 1_000,
        states: spec.states as Parameters<typeof billing.listReservations>[0]['states'] & object,
      });
    case 'grants':
      return accounts.listGrants({ accountId, pageSize: 1_000 });
    case 'account':
      return accounts.getAccount({ accountId });
    case 'budgets':
      return accounts.getBudgets({ accountId, pageSize: 1_000 });
    case 'packs':
      return accounts.listPacks({ accountId });
    case 'purchase':
      return billing.getPurchase({ accountId, purchaseId: subject });
    case 'purchases':
      return billing.listPurchases({ accountId, pageSize: 1_000 });
    case 'import':
      return accounts.importAccount(trialOf(spec.account, accountId, Number(subject)));
  }
}
