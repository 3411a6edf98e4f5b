/** Accounts and their auto top-up as messages. */

import {
  Account_State,
  type Account as AccountMessage,
  type AutoTopUp as AutoTopUpMessage,
  RunningWork,
  type ShadowMode as ShadowModeMessage,
  type Suspension as SuspensionMessage,
} from '../../gen/billing/v1/account_service.ts';
import {
  type Account,
  effectiveLowBalanceLevels,
  effectivePauseFloor,
  type ShadowMode,
  type Suspension,
} from '../../ledger/account.ts';
import type { AutoTopUp } from '../../ledger/auto-top-up.ts';
import { timeZoneOf } from '../../ledger/periods/account-zone.ts';
import { mapOf } from '../../map-of.ts';
import type { Terms } from '../../pricing/plan.ts';
import { levelMessage } from './plan.ts';
import { durationMessage, optionalInstant } from './time.ts';

/** `terms` are those of the account's plan: they hold where the account has no limits of its own. */
export const accountMessage = (account: Account, terms: Terms): AccountMessage => ({
  accountId: account.accountId,
  planId: account.planId,
  state: Account_State[stateOf(account)],
  displayName: account.displayName,
  labels: mapOf(account.labels),
  openedAt: new Date(account.openedAt),
  timeZone: timeZoneOf(account),
  closedAt: optionalInstant(account.closedAt),
  lowBalanceLevels: effectiveLowBalanceLevels(account, terms).map(levelMessage),
  pauseFloor: effectivePauseFloor(account, terms),
  ownLowBalanceLevels: account.lowBalanceLevels
    ? { levels: account.lowBalanceLevels.map(levelMessage) }
    : undefined,
  ownPauseFloor: account.pauseFloor ?? undefined,
  autoTopUp: account.autoTopUp ? autoTopUpMessage(account.autoTopUp) : undefined,
  topUpDueAt: optionalInstant(account.topUpDueAt),
  topUpPurchaseId: account.topUps?.purchaseId ?? '',
  suspension: account.suspension ? suspensionMessage(account.suspension) : undefined,
  shadowMode: account.shadow ? shadowModeMessage(account.shadow) : undefined,
});

const stateOf = ({ state, suspension }: Account) =>
  state === 'OPEN' && suspension ? ('SUSPENDED' as const) : state;

const suspensionMessage = ({ since, running, ...said }: Suspension): SuspensionMessage => ({
  ...said,
  since: new Date(since),
  running: RunningWork[running],
});

const shadowModeMessage = ({ since, until, caller }: ShadowMode): ShadowModeMessage => ({
  since: new Date(since),
  until: optionalInstant(until),
  caller,
});

const autoTopUpMessage = (setting: AutoTopUp): AutoTopUpMessage => ({
  packId: setting.packId,
  threshold: setting.threshold,
  onRefusal: setting.onRefusal,
  coolDown: durationMessage(setting.coolDownMs),
  monthlyCap: setting.monthlyCap,
  customer: setting.customer,
  paymentMethod: setting.paymentMethod,
});
