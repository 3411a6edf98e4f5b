/** The numbers that stand for names in the rows that a ledger has most of. Views spell them. */
import type { EntryKind, Method } from '../../ledger/entry.ts';
import type { OverCommitPolicy } from '../../ledger/reservation.ts';

/** The same numbers as in the enum Entry.Kind of the protos. */
export const KIND_CODES: Readonly<Record<EntryKind, number>> = {
  GRANT: 1,
  GRANT_EFFECTIVE: 2,
  GRANT_EXPIRED: 3,
  PURCHASE: 4,
  RESERVE: 5,
  COMMIT: 6,
  RELEASE: 7,
  EXPIRE: 8,
  CHARGE: 9,
  REFUND: 10,
  PLAN_CHANGE: 11,
  RAISE: 12,
  EXTEND: 13,
  OPEN_ACCOUNT: 14,
  UPDATE_ACCOUNT: 15,
  CLOSE_ACCOUNT: 16,
  OFFER_PACK: 17,
  WITHDRAW_PACK: 18,
  CHECKOUT: 19,
  CLAW_BACK: 20,
  REINSTATE: 21,
  REJECT_PURCHASE: 22,
  PAYMENT: 23,
  ERASE_ACCOUNT_DATA: 24,
  VOID_GRANT: 25,
  UPDATE_GRANT: 26,
  SUSPEND_ACCOUNT: 27,
  RESUME_ACCOUNT: 28,
  SET_BUDGET: 29,
  REMOVE_BUDGET: 30,
  IMPORT: 31,
  CHECKPOINT: 32,
  PAY_OWED: 33,
};

export const METHOD_CODES: Readonly<Record<Method, number>> = {
  OpenAccount: 1,
  UpdateAccount: 2,
  CloseAccount: 3,
  MoveAccount: 4,
  GrantCredits: 5,
  OfferPack: 6,
  WithdrawPack: 7,
  Purchase: 8,
  ResolvePurchase: 9,
  Reserve: 10,
  RaiseReservation: 11,
  ExtendReservation: 12,
  Commit: 13,
  Release: 14,
  Charge: 15,
  Refund: 16,
  EraseAccountData: 17,
  VoidGrant: 18,
  UpdateGrant: 19,
  SuspendAccount: 20,
  ResumeAccount: 21,
  SetBudget: 22,
  RemoveBudget: 23,
  ImportAccount: 24,
  SetShadowMode: 28,
};

/** The same numbers as in the enum Reservation.State of the protos. Reservations that ended otherwise have no row. */
export const RESERVATION_STATE_CODES = { ACTIVE: 1, EXPIRED: 4 } as const;

/** The same numbers as in the enum OverCommitPolicy of the protos. */
export const OVER_COMMIT_POLICY_CODES: Readonly<Record<OverCommitPolicy, number>> = {
  REJECT: 1,
  CAP: 2,
  DRAW: 3,
  TAKE: 4,
};

/** For a condition in SQL: the codes of entry kinds, e.g. "6, 9". */
export const kindCodes = (...kinds: readonly EntryKind[]): string =>
  kinds.map((kind) => KIND_CODES[kind]).join(', ');
