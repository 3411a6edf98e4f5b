/** How a purchase is to be paid, as its request says it. */
import type { PurchaseRequest } from '../../gen/billing/v1/billing_service.ts';
import type { BuyPack } from '../../ledger/rules/purchase.ts';
import type { Check } from '../call/field-checker.ts';

const URL_MAX = 2_048;
/** No more than a typing error is caught here: whether it exists only a message to it can tell. */
const EMAIL = /^[^\s@\p{Cc}]+@[^\s@\p{Cc}]+$/u;
const EMAIL_MAX = 254;

export function payment(request: PurchaseRequest, check: Check): BuyPack['payment'] {
  const given = request.payment;
  if (given?.$case === 'checkout') {
    const { successUrl, cancelUrl, customerEmail } = given.value;
    if (customerEmail !== undefined && !isEmail(customerEmail))
      check.refuse(
        'checkout.customer_email',
        `must be an address of at most ${EMAIL_MAX} characters`,
      );
    return {
      method: 'CHECKOUT',
      successUrl: url('checkout.success_url', successUrl, check),
      cancelUrl: url('checkout.cancel_url', cancelUrl, check),
      customerEmail: customerEmail ?? null,
    };
  }
  if (!given) check.refuse('payment', 'payment_reference or checkout is required');
  const reference = given ? check.text('payment_reference', given.value, 128, 1) : '';
  return { method: 'REFERENCE', reference };
}

const isEmail = (text: string): boolean => text.length <= EMAIL_MAX && EMAIL.test(text);

function url(field: string, text: string, check: Check): string {
  const absolute = /^https?:\/\/[^\s\p{Cc}]+$/iu.test(text) && URL.canParse(text);
  if (!absolute || text.length > URL_MAX)
    check.refuse(field, `must be an absolute http or https URL of at most ${URL_MAX} characters`);
  return text;
}
