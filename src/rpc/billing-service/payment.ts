/** The fields of a purchase that say how much of a pack it buys, and how it is paid. */
import type { PurchaseRequest } from '../../gen/billing/v1/billing_service.ts';
import { paymentReferenceKey } from '../../ledger/payment-reference.ts';
import type { BuyPack } from '../../ledger/rules/buy-pack.ts';
import type { FieldChecker } from '../call/field-checker.ts';

const URL_MAX = 2_048;
const QUANTITY_MAX = 1_000;
/** Finds typing errors only. Whether an address exists is known when a message to it arrives. */
const EMAIL = /^[^\s@\p{Cc}]+@[^\s@\p{Cc}]+$/u;
const EMAIL_MAX = 254;

export function parsePayment(
  { payment }: PurchaseRequest,
  check: FieldChecker,
): BuyPack['payment'] {
  if (payment?.$case === 'checkout') {
    const { successUrl, cancelUrl, customerEmail } = payment.value;
    if (customerEmail !== undefined && !isEmail(customerEmail))
      check.addViolation(
        'checkout.customer_email',
        `must be an address of at most ${EMAIL_MAX} characters`,
      );
    return {
      method: 'CHECKOUT',
      successUrl: parseUrl('checkout.success_url', successUrl, check),
      cancelUrl: parseUrl('checkout.cancel_url', cancelUrl, check),
      customerEmail: customerEmail ?? null,
    };
  }
  if (!payment) check.addViolation('payment', 'payment_reference or checkout is required');
  const reference = payment ? check.text('payment_reference', payment.value, 128, 1) : '';
  if (reference !== '' && paymentReferenceKey(reference) === '')
    check.addViolation('payment_reference', 'must have a visible character');
  return { method: 'REFERENCE', reference };
}

export function parseQuantity(
  { quantity = 1 }: Pick<PurchaseRequest, 'quantity'>,
  check: FieldChecker,
): number {
  if (quantity < 1 || quantity > QUANTITY_MAX)
    check.addViolation('quantity', `must be 1 to ${QUANTITY_MAX}`);
  return quantity;
}

/** Of a custom amount. Null: a pack is bought. */
export function parseCredits(
  { credits, quantity }: Pick<PurchaseRequest, 'credits' | 'quantity'>,
  check: FieldChecker,
): bigint | null {
  if (credits === undefined) return null;
  if (quantity !== undefined)
    check.addViolation('quantity', 'is of packs: do not set it with credits');
  return check.credits('credits', credits, 1n);
}

const isEmail = (text: string): boolean => text.length <= EMAIL_MAX && EMAIL.test(text);

function parseUrl(field: string, text: string, check: FieldChecker): string {
  const isAbsolute = /^https?:\/\/[^\s\p{Cc}]+$/iu.test(text) && URL.canParse(text);
  if (!isAbsolute || text.length > URL_MAX)
    check.addViolation(
      field,
      `must be an absolute http or https URL of at most ${URL_MAX} characters`,
    );
  return text;
}
