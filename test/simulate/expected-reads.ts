/** What the model expects of reads. */
import { type Purchase, Purchase_Method } from '../../src/gen/billing/v1/ledger.ts';
import type { PackOffer } from '../../src/gen/billing/v1/pricing.ts';
import { budgetsNow } from './model/budgets.ts';
import { buyable, estimatePurchase, packMessage, purchaseNow } from './model/buy.ts';
import { decide } from './model/decide.ts';
import { Funding, grantsFor, overageRoom } from './model/funding.ts';
import { entriesPage, pastBalance } from './model/history.ts';
import { accountOf, fullBalanceOf, grantOf, isOpenGrant, reservationOf } from './model/messages.ts';
import { toNanos } from './model/money.ts';
import { componentsOf, needsOf, priceOf } from './model/prices.ts';
import { Refusal } from './model/refusal.ts';
import type { AccountState } from './model/state.ts';
import { CALLER } from './replicas.ts';
import { trialOf } from './to-import.ts';
import { toUsages } from './to-request.ts';
import type { ReadSpec } from './trace.ts';

/** The response, or the refusal, on an account that is settled up to `now`. */
export function expectRead(
  state: AccountState,
  spec: ReadSpec,
  subject: string,
  now: number,
): object | Refusal {
  const { accountId } = state;
  if (spec.read === 'import') return expectImport(state, spec, Number(subject), now);
  if (state.seq === 0n) return new Refusal('ACCOUNT_NOT_FOUND');
  switch (spec.read) {
    case 'balance': {
      const grants = spec.grants ? state.burnOrder.filter(isOpenGrant) : [];
      return {
        balance: fullBalanceOf(state, now),
        grants: grants.map((grant) => grantOf(grant, now)),
        timeZone: accountOf(state).timeZone,
      };
    }
    case 'past balance': {
      const { point, buckets } = spec;
      const at = 'seq' in point ? { seq: BigInt(point.seq) } : { at: Number(subject) };
      return pastBalance(state, at, buckets, now);
    }
    case 'entries':
      return entriesPage(state, spec, subject);
    case 'purchase estimate':
      return estimatePurchase(state, spec.pack, spec.quantity ?? 1, now);
    case 'estimate':
      return estimate(state, spec, now);
    case 'reservation': {
      // A job of shadow mode is shown as it is stored.
      const ofShadow = state.shadow?.reservations.get(subject);
      const reservation = state.reservations.get(subject) ?? ofShadow;
      if (!reservation) return new Refusal('RESERVATION_NOT_FOUND');
      return { reservation: reservationOf(accountId, reservation) };
    }
    case 'reservations': {
      const all = [...state.reservations.values()].reverse();
      const some = all.filter((one) => spec.states.length === 0 || spec.states.includes(one.state));
      return {
        reservations: some.map((one) => reservationOf(accountId, one)),
        nextPageToken: '',
      };
    }
    case 'grants': {
      const grants = [...state.grants.values()].reverse();
      return { grants: grants.map((grant) => grantOf(grant, now)), nextPageToken: '' };
    }
    case 'account':
      return { account: accountOf(state) };
    case 'budgets':
      return budgetsNow(state, now);
    case 'packs': {
      const packs = buyable(state);
      return {
        packs: packs.map(({ pack, custom }) => ({ pack: packMessage(pack), custom })),
        customAmounts: [],
      };
    }
    case 'purchase': {
      const purchase = state.purchases.get(subject);
      if (!purchase) return new Refusal('PURCHASE_NOT_FOUND');
      return { purchase: purchaseNow(state, purchase) };
    }
    case 'purchases': {
      const purchases = [...state.purchases.values()].sort((a, b) =>
        a.purchaseId < b.purchaseId ? 1 : -1,
      );
      return { purchases: purchases.map((one) => purchaseNow(state, one)), nextPageToken: '' };
    }
  }
}

/** What an import asked for at `askedAt` would answer. Its entry would be the first. */
function expectImport(
  state: AccountState,
  { account }: Extract<ReadSpec, { read: 'import' }>,
  askedAt: number,
  now: number,
): object | Refusal {
  const value = trialOf(account, state.accountId, askedAt);
  const author = { caller: CALLER, requestId: value.requestId, onBehalfOf: '' };
  const ids = { reservationId: '', purchaseId: '', importedIds: [], takenOfHeld: null };
  const moment = { now, loadedAt: now, author };
  return decide(state.copy(), { $case: 'importAccount', value }, { ...moment, ...ids });
}

function estimate(
  state: AccountState,
  { usages }: Extract<ReadSpec, { read: 'estimate' }>,
  now: number,
): object | Refusal {
  const priced = priceOf(toUsages(usages));
  if (priced instanceof Refusal) return priced;
  const { lines, credits } = priced;
  const operations = lines.map(({ usage }) => usage?.operation ?? '');
  const funding = new Funding(state, needsOf(lines));
  funding.payFromAvailable(now);
  const shortfall = funding.missing;
  const room = grantsFor(state, operations, now) + overageRoom(state, now);
  return {
    lines: lines.map((line) => ({ ...line, components: componentsOf(line) })),
    credits,
    rateCardVersion: 1n,
    available: shortfall > 0n ? credits - shortfall : room,
    sufficient: shortfall === 0n && state.isOpen,
    shortfall,
    packs: offersFor(state, shortfall),
  };
}

/** For each pack as many as cover the shortfall and what is owed first: the cheapest first, then the one with the most credits. */
export function offersFor(state: AccountState, shortfall: bigint): readonly PackOffer[] {
  if (shortfall === 0n) return [];
  const offers = buyable(state).map(({ pack }) => {
    const size = BigInt(pack.credits);
    const missing = shortfall + (state.plan.payOwed ? state.owed : 0n);
    const quantity = (missing + size - 1n) / size;
    const amount = cents(toNanos(pack.price) * quantity);
    return { pack: packMessage(pack), quantity, price: { currency: 'USD', amount } };
  });
  return offers.sort(compareOffers);
}

export function compareOffers(a: PackOffer, b: PackOffer): number {
  const nanosOf = ({ price }: PackOffer) => toNanos(price?.amount ?? '0');
  const creditsOf = ({ pack, quantity }: PackOffer) => (pack?.credits ?? 0n) * quantity;
  return Number(nanosOf(a) - nanosOf(b)) || Number(creditsOf(b) - creditsOf(a));
}

const cents = (nanos: bigint): string =>
  `${nanos / 1_000_000_000n}.${`${(nanos / 10_000_000n) % 100n}`.padStart(2, '0')}`;

/** A purchase without what follows from the provider alone: its model is `provider.ts`, at the end of a trace. */
export const ownFields = (item: object): object =>
  'checkoutUrl' in item && (item as Purchase).method === Purchase_Method.CHECKOUT
    ? {
        ...item,
        state: 0,
        checkoutUrl: '',
        amountPaid: undefined,
        amountRefunded: undefined,
        creditsClawedBack: 0n,
        creditsUnrecovered: 0n,
        creditsOwed: 0n,
        disputeState: 0,
        failureCode: '',
      }
    : item;
