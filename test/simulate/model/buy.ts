/** Packs and purchases. */

import type { EstimatePurchaseResponse } from '../../../src/gen/billing/v1/billing_service.ts';
import {
  Entry_Kind,
  Grant_Category,
  Grant_Source,
  type Purchase,
  Purchase_DisputeState,
  Purchase_Method,
  Purchase_State,
} from '../../../src/gen/billing/v1/ledger.ts';
import type { Pack } from '../../../src/gen/billing/v1/pricing.ts';
import type { PlanPack, Validity } from '../plans.ts';
import { endOf } from './calendar.ts';
import { closed, type Deciding } from './deciding.ts';
import { addGrant, grantPaidOwed } from './due.ts';
import { balanceOf, grantOf } from './messages.ts';
import { dividedPrice, multipliedPrice } from './money.ts';
import { Refusal } from './refusal.ts';
import type { First, RequestOf } from './requests.ts';
import {
  type AccountState,
  type Author,
  type CustomPack,
  hasExpired,
  type Labels,
  OVERAGE,
  SERVICE,
} from './state.ts';

/** The pack that the account can buy: the plan's, else its own. */
const packOf = (state: AccountState, packId: string): PlanPack | null => {
  const own = state.packs.get(packId);
  return (
    state.plan.packs.find((pack) => pack.packId === packId) ?? (own && !own.withdrawn ? own : null)
  );
};

/** Packs that the account can buy: its plan's, then its own by their ids. */
export const buyable = (state: AccountState): readonly { pack: PlanPack; custom: boolean }[] => {
  const { packs } = state.plan;
  const own = [...state.packs.values()].filter(
    ({ packId, withdrawn }) => !withdrawn && packs.every((pack) => pack.packId !== packId),
  );
  return [
    ...packs.map((pack) => ({ pack, custom: false })),
    ...own.sort((a, b) => (a.packId < b.packId ? -1 : 1)).map((pack) => ({ pack, custom: true })),
  ];
};

export const packMessage = ({ packId, title, credits, price, validity }: PlanPack): Pack => ({
  packId,
  title,
  credits: BigInt(credits),
  price: { currency: 'USD', amount: price },
  validity: validityMessage(validity),
});

const validityMessage = (validity: Validity): Pack['validity'] => {
  if (validity === null) return undefined;
  return {
    length:
      'days' in validity
        ? { $case: 'days', value: validity.days }
        : { $case: 'months', value: validity.months },
  };
};

export const validityText = (validity: Validity): string => {
  if (validity === null) return 'never';
  return 'days' in validity ? `${validity.days} days` : `${validity.months} months`;
};

/** References are the same but for case and spaces; the simulation writes no others. */
export const referenceKey = (reference: string): string =>
  reference.replaceAll(' ', '').toLowerCase();

export function purchase(
  state: AccountState,
  request: RequestOf<'purchase'>,
  deciding: Deciding,
): First<'purchase'> | Refusal {
  const { now, author, purchaseId } = deciding;
  if (!state.isOpen) return closed(state);
  const pack = packOf(state, request.packId);
  if (!pack) return new Refusal('PACK_NOT_FOUND', { pack_id: request.packId });
  const { payment, labels, quantity = 1 } = request;
  if (payment?.$case !== 'paymentReference')
    return checkout(state, pack, quantity, labels, deciding);
  const key = referenceKey(payment.value);
  for (const { paymentReference } of state.purchases.values())
    if (paymentReference !== '' && referenceKey(paymentReference) === key)
      return new Refusal('PAYMENT_REFERENCE_USED', { used_as: paymentReference });
  const made: Purchase = {
    ...pendingPurchase(state, pack, quantity, purchaseId, labels, now),
    method: Purchase_Method.REFERENCE,
    paymentReference: payment.value,
  };
  const entrySeq = state.seq + 1n;
  const grant = grantPurchase(state, made, pack.validity, now, author);
  const paid = state.purchases.get(purchaseId);
  return {
    purchase: paid,
    balance: balanceOf(state, now),
    entrySeq,
    grant: grantOf(grant, now),
  };
}

/** What it would cost and grant. Also a closed account is told. */
export function estimatePurchase(
  state: AccountState,
  packId: string,
  quantity: number,
  now: number,
): EstimatePurchaseResponse | Refusal {
  const pack = packOf(state, packId);
  if (!pack) return new Refusal('PACK_NOT_FOUND', { pack_id: packId });
  const { credits, price, validity } = pack;
  const end = endOf(validity, now);
  return {
    credits: BigInt(credits * quantity),
    price: { currency: 'USD', amount: multipliedPrice(price, BigInt(quantity)) },
    pricePerCredit: { currency: 'USD', amount: dividedPrice(price, BigInt(credits)) },
    lines: [],
    expiresAt: end === null ? undefined : new Date(end),
  };
}

function checkout(
  state: AccountState,
  pack: PlanPack,
  quantity: number,
  labels: Labels,
  { now, author, purchaseId }: Deciding,
): First<'purchase'> {
  const made = pendingPurchase(state, pack, quantity, purchaseId, labels, now);
  const details = new Map([
    ['pack_id', pack.packId],
    ['title', pack.title],
    ['quantity', `${quantity}`],
    ['credits', `${made.credits}`],
    ['amount', made.price?.amount ?? ''],
    ['currency', 'USD'],
    ['validity', validityText(pack.validity)],
    ['method', 'CHECKOUT'],
  ]);
  const entry = state.post(Entry_Kind.CHECKOUT, now, { purchaseId, details, labels }, author);
  state.purchases.set(purchaseId, made);
  state.orders.set(purchaseId, { author, validity: pack.validity });
  return { purchase: made, balance: balanceOf(state, now), entrySeq: entry.seq, grant: undefined };
}

/** A payment of the price has arrived: the credits of a checkout are granted, once. */
export function payCheckout(state: AccountState, purchaseId: string, now: number) {
  const purchase = state.purchases.get(purchaseId);
  const order = state.orders.get(purchaseId);
  if (!purchase || !order || purchase.grantId > 0n) throw new Error('it must not be granted');
  grantPurchase(
    state,
    { ...purchase, amountPaid: purchase.price },
    order.validity,
    now,
    // Nobody acts when the payment arrives.
    { ...order.author, onBehalfOf: '' },
  );
}

/** What a claim, or the end of one, moves, and what it grants again of debts that others have paid. */
export type Claim = {
  readonly kind: typeof Entry_Kind.CLAW_BACK | typeof Entry_Kind.REINSTATE;
  /** Of the grant. */
  readonly credits: bigint;
  /** Came to be owed, or is owed no longer. */
  readonly owed: bigint;
  readonly grantedAgain: bigint;
};

/**
 * Refunds and disputes take credits back that are not spent, or give them again. Used ones are owed meanwhile. How
 * much is claimed is the provider's, so it is taken from the entry.
 */
export function claim(
  state: AccountState,
  purchaseId: string,
  { kind, credits, owed, grantedAgain }: Claim,
  now: number,
) {
  const purchase = state.purchases.get(purchaseId);
  if (!purchase?.grantId) throw new Error('it has no credits to take back');
  const grant = state.grant(purchase.grantId);
  const isClawBack = kind === Entry_Kind.CLAW_BACK;
  const available = grant.remaining - grant.reserved;
  if (isClawBack && (owed > 0n ? credits !== available : credits > available))
    throw new Error('it takes back what is available before anything is owed');
  const debt = state.debts.get(purchaseId) ?? 0n;
  const used = hasExpired(grant, now)
    ? 0n
    : grant.amount - available - grant.voided - purchase.creditsClawedBack;
  if (isClawBack && owed + debt > used) throw new Error('more is owed than was used');
  if (!isClawBack && owed + grantedAgain > debt) throw new Error('more is lifted than was owed');
  if (grantedAgain > 0n && owed !== state.owed)
    throw new Error('what is still owed is cancelled before anything is granted again');
  if (!isClawBack && credits > purchase.creditsClawedBack)
    throw new Error('more is given again than was taken back');
  const { grantId } = grant;
  const to = hasExpired(grant, now) ? 'expired' : 'available';
  state.post(
    kind,
    now,
    {
      moves: [
        isClawBack
          ? ({ from: 'available', to: 'issued', grantId, credits } as const)
          : ({ from: 'issued', to, grantId, credits } as const),
        isClawBack
          ? ({ from: 'owed', to: 'issued', grantId: OVERAGE, credits: owed } as const)
          : ({ from: 'issued', to: 'owed', grantId: OVERAGE, credits: owed } as const),
      ].filter((move) => move.credits > 0n),
      credits: credits + owed,
      purchaseId,
      grantId,
      reference: purchaseId,
      labels: purchase.labels,
    },
    SERVICE,
  );
  const creditsClawedBack = purchase.creditsClawedBack + (isClawBack ? credits : -credits);
  state.purchases.set(purchaseId, { ...purchase, creditsClawedBack });
  state.debts.set(purchaseId, isClawBack ? debt + owed : debt - owed - grantedAgain);
  if (grantedAgain > 0n)
    grantPaidOwed(
      state,
      grantedAgain,
      now,
      { reference: purchaseId, labels: purchase.labels },
      SERVICE,
    );
}

export const pendingPurchase = (
  { accountId }: AccountState,
  { packId, title, credits, price }: PlanPack,
  quantity: number,
  purchaseId: string,
  labels: Labels,
  now: number,
): Purchase => ({
  purchaseId,
  accountId,
  packId,
  title,
  credits: BigInt(credits * quantity),
  price: { currency: 'USD', amount: multipliedPrice(price, BigInt(quantity)) },
  state: Purchase_State.PENDING,
  paymentReference: '',
  grantId: 0n,
  createdAt: new Date(now),
  paidAt: undefined,
  method: Purchase_Method.CHECKOUT,
  checkoutUrl: '',
  remaining: 0n,
  expiresAt: undefined,
  pricePerCredit: { currency: 'USD', amount: dividedPrice(price, BigInt(credits)) },
  amountRefunded: { currency: 'USD', amount: '0.00' },
  creditsClawedBack: 0n,
  creditsUnrecovered: 0n,
  creditsOwed: 0n,
  disputeState: Purchase_DisputeState.NONE,
  failureCode: '',
  labels: new Map(labels),
  quantity,
  amountPaid: undefined,
  resolution: undefined,
});

/** Grants the credits of a purchase that is paid. */
export function grantPurchase(
  state: AccountState,
  purchase: Purchase,
  validity: Validity,
  now: number,
  author: Author,
) {
  const { purchaseId, credits, labels } = purchase;
  const grant = addGrant(
    state,
    {
      amount: credits,
      category: Grant_Category.PAID,
      effectiveAt: now,
      expiresAt: endOf(validity, now),
      source: Grant_Source.PURCHASE,
      sourceReference: purchaseId,
    },
    now,
    // They say what the provider calls the payment, as well.
    {
      purchaseId,
      reference: purchase.paymentReference || purchaseId,
      labels,
      details: null,
    },
    author,
    Entry_Kind.PURCHASE,
  );
  state.purchases.set(purchaseId, {
    ...purchase,
    state: Purchase_State.PAID,
    grantId: grant.grantId,
    paidAt: new Date(now),
    checkoutUrl: '',
    remaining: grant.remaining,
    expiresAt: grant.expiresAt === null ? undefined : new Date(grant.expiresAt),
  });
  state.emit('purchase.completed', {
    purchase_id: purchaseId,
    pack_id: purchase.packId,
    quantity: `${purchase.quantity}`,
    credits: `${credits}`,
    payment_reference: purchase.paymentReference,
  });
  return grant;
}

/** A purchase as it is now, with what is left of its grant. */
export function purchaseNow(state: AccountState, purchase: Purchase): Purchase {
  const grant = state.grants.get(purchase.grantId);
  return { ...purchase, remaining: grant?.remaining ?? 0n };
}

export function offerPack(
  state: AccountState,
  { pack }: RequestOf<'offerPack'>,
  { now, author }: Deciding,
): First<'offerPack'> | Refusal {
  if (!state.isOpen) return closed(state);
  if (!pack) return new Refusal('INVALID_FIELD');
  const { packId, title, credits, price, validity } = pack;
  if (packOf(state, packId)) return new Refusal('PACK_EXISTS', { pack_id: packId });
  const length = validity?.length;
  const offered: CustomPack = {
    packId,
    title,
    credits: Number(credits),
    price: price?.amount ?? '',
    currency: 'USD',
    withdrawn: false,
    validity:
      length === undefined
        ? null
        : length.$case === 'days'
          ? { days: length.value }
          : { months: length.value },
  };
  state.packs.set(packId, offered);
  const details = new Map([
    ['pack_id', packId],
    ['title', title],
    ['credits', `${credits}`],
    ['amount', offered.price],
    ['currency', 'USD'],
    ['validity', validityText(offered.validity)],
  ]);
  const { seq } = state.post(Entry_Kind.OFFER_PACK, now, { details }, author);
  return { pack: packMessage(offered), entrySeq: seq };
}

export function withdrawPack(
  state: AccountState,
  { packId }: RequestOf<'withdrawPack'>,
  { now, author }: Deciding,
): First<'withdrawPack'> | Refusal {
  const pack = state.packs.get(packId);
  if (!pack) return new Refusal('PACK_NOT_FOUND', { pack_id: packId });
  let entrySeq = 0n;
  if (!pack.withdrawn) {
    state.packs.set(packId, { ...pack, withdrawn: true });
    const details = new Map([['pack_id', packId]]);
    entrySeq = state.post(Entry_Kind.WITHDRAW_PACK, now, { details }, author).seq;
  }
  return { pack: packMessage(pack), entrySeq };
}
