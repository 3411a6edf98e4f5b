import { Refusal } from './refusal.ts';
import type { AccountState, Author, Part } from './state.ts';

/** When a command is decided, for whom, and the ids that the service chose. */
export type Deciding = {
  readonly now: number;
  /** When everything was loaded: at `now` or later. What has a not_after by then is refused. */
  readonly loadedAt: number;
  readonly author: Author;
  readonly reservationId: string;
  readonly purchaseId: string;
  /** Of the purchases of an import, in the order of their entries; those that are missing are not known. */
  readonly importedIds: readonly string[];
  /** What a partial commit took of each grant that it held, where the contract leaves that open. */
  readonly takenOfHeld: readonly Part[] | null;
  /** Of a part of an atomic batch in shadow mode that would have been refused: with what. */
  readonly refusedWith?: Refusal | undefined;
};

/** Why new work does not begin; null: it may. */
export const refusalOfNew = (state: AccountState): Refusal | null =>
  state.isOpen ? suspended(state) : closed(state);

/** Why running work does not go on; null: it may. */
export const refusalOfRunning = (state: AccountState): Refusal | null =>
  state.suspended?.stops ? suspended(state) : null;

const suspended = ({ accountId, suspended: said }: AccountState): Refusal | null =>
  said &&
  new Refusal('ACCOUNT_SUSPENDED', {
    account_id: accountId,
    since: new Date(said.since).toISOString(),
    reason: said.reason,
  });

export const closed = (state: AccountState): Refusal =>
  new Refusal('ACCOUNT_CLOSED', {
    account_id: state.accountId,
    at: new Date(state.closedAt ?? 0).toISOString(),
  });
