/** The limits a balance is held against: the account's own where it has one, else its plan's. */
import type { Terms } from '../pricing/plan.ts';
import type { Account } from './account.ts';

export const effectiveLowBalanceThreshold = (account: Account, terms: Terms): bigint =>
  account.lowBalanceThreshold ?? terms.lowBalanceThreshold;

/** 0: nothing is paused. */
export const effectivePauseFloor = (account: Account, terms: Terms): bigint =>
  account.pauseFloor ?? terms.pauseFloor;

/** remaining − reserved, on the overage line too. */
export const availableCredits = ({ remaining, reserved, overageReserved }: Account): bigint =>
  remaining - reserved - overageReserved;
