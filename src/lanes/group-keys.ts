/** The keys of the rows that the commands of a group need beside their accounts and open grants. */
import type { Command } from '../ledger/decide.ts';
import { paymentReferenceKey } from '../ledger/payment-reference.ts';
import type { RowKey } from '../store/load.ts';
import type { RequestKey } from '../store/load-requests.ts';
import type { SingleTask } from './task.ts';

export type GroupKeys = {
  readonly reservations: readonly RowKey<string>[];
  /** Commits and charges to be refunded, by their seq. */
  readonly refundables: readonly RowKey<bigint>[];
  readonly grants: readonly RowKey<bigint>[];
  readonly purchases: readonly RowKey<string>[];
  /** The keys of payment references: see `paymentReferenceKey`. */
  readonly paymentReferences: readonly RowKey<string>[];
  readonly packs: readonly RowKey<string>[];
  /** Accounts whose own auto top-up names a pack. */
  readonly topUpAccounts: ReadonlySet<string>;
  /** Accounts whose data are to be erased: what they have unfinished is in the way. */
  readonly erasedAccounts: ReadonlySet<string>;
  /** Accounts whose shadow mode is to begin or end. */
  readonly shadowAccounts: ReadonlySet<string>;
  /** When late work was done, by account: the earliest. Allowances of then may return. */
  readonly usedAt: ReadonlyMap<string, number>;
  /** Accounts with a month to be closed. */
  readonly closings: ReadonlySet<string>;
};

/** Keys without repetition, in the order they came. */
class Keys<Key> {
  readonly #all = new Map<string, RowKey<Key>>();

  add(accountId: string, key: Key) {
    this.#all.set(`${accountId}\n${key}`, { accountId, key });
  }

  list(): RowKey<Key>[] {
    return [...this.#all.values()];
  }
}

export function keysOf(tasks: readonly SingleTask[]): GroupKeys {
  const reservations = new Keys<string>();
  const refundables = new Keys<bigint>();
  const grants = new Keys<bigint>();
  const purchases = new Keys<string>();
  const paymentReferences = new Keys<string>();
  const packs = new Keys<string>();
  const topUpAccounts = new Set<string>();
  const erasedAccounts = new Set<string>();
  const shadowAccounts = new Set<string>();
  const usedAt = new Map<string, number>();
  const closings = new Set<string>();
  for (const task of tasks) {
    if (task.type === 'statement closing') closings.add(task.accountId);
    if (!('command' in task)) continue;
    const { accountId, command } = task;
    switch (command.kind) {
      case 'Commit':
      case 'Release':
      case 'ExtendReservation':
      case 'RaiseReservation':
        reservations.add(accountId, command.reservationId);
        break;
      case 'Refund':
        refundables.add(accountId, command.seq);
        break;
      case 'VoidGrant':
      case 'UpdateGrant':
        grants.add(accountId, command.grantId);
        break;
      case 'SyncPurchase':
      case 'ResolvePurchase':
      case 'EndTopUp':
        purchases.add(accountId, command.purchaseId);
        break;
      case 'Purchase':
        packs.add(accountId, command.packId);
        if (command.payment.method === 'REFERENCE')
          paymentReferences.add(accountId, paymentReferenceKey(command.payment.reference));
        break;
      case 'OfferPack':
        packs.add(accountId, command.pack.packId);
        break;
      case 'WithdrawPack':
        packs.add(accountId, command.packId);
        break;
      case 'UpdateAccount':
        if (command.autoTopUp) packs.add(accountId, command.autoTopUp.packId);
        break;
      case 'StartTopUp':
        topUpAccounts.add(accountId);
        break;
      case 'SetShadowMode':
        shadowAccounts.add(accountId);
        break;
      case 'EraseAccountData':
        erasedAccounts.add(accountId);
        break;
      case 'Reserve':
      case 'Charge':
        if (command.usedAt !== null)
          usedAt.set(accountId, Math.min(command.usedAt, usedAt.get(accountId) ?? Infinity));
        break;
      case 'GrantCredits':
      case 'OpenAccount':
      case 'ImportAccount':
      case 'MoveAccount':
      case 'CloseAccount':
      case 'SuspendAccount':
      case 'ResumeAccount':
      case 'SetBudget':
      case 'RemoveBudget':
      case 'ReportRefusals':
      case 'Checkpoint':
        break;
      default:
        command satisfies never;
    }
  }
  return {
    reservations: reservations.list(),
    refundables: refundables.list(),
    grants: grants.list(),
    purchases: purchases.list(),
    paymentReferences: paymentReferences.list(),
    packs: packs.list(),
    topUpAccounts,
    erasedAccounts,
    shadowAccounts,
    usedAt,
    closings,
  };
}

/** The request ids of a group, which may have been used before. */
export function requestIdsOf(tasks: readonly SingleTask[]) {
  const ids: RequestKey[] = [];
  for (const task of tasks) {
    if (task.type !== 'request') continue;
    const { accountId, origin, command } = task;
    ids.push({ accountId, requestId: origin.requestId, method: command.kind });
  }
  return ids;
}

/** Commands for which a cached account, and the reservation that they name, are enough. */
const CACHEABLE: ReadonlySet<Command['kind']> = new Set([
  'Reserve',
  'RaiseReservation',
  'ExtendReservation',
  'Commit',
  'Release',
  'Charge',
]);

/** Late usage may need grants that are over. */
const isCacheable = (command: Command): boolean =>
  CACHEABLE.has(command.kind) && !('usedAt' in command && command.usedAt !== null);

/** The accounts of a group that need not be read if they are cached. */
export function cacheableAccounts(tasks: readonly SingleTask[]): ReadonlySet<string> {
  const accountIds = new Set(tasks.map(({ accountId }) => accountId));
  for (const task of tasks)
    if (!('command' in task) || !isCacheable(task.command)) accountIds.delete(task.accountId);
  return accountIds;
}
