/** The page on which a person pays, or has a card declined. Without a script. */
import { createHash } from 'node:crypto';
import type { Payment } from './payments-of.ts';

const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 26rem; margin: 12vh auto; padding: 0 1.5rem; }
.mark { border: 1px solid; border-radius: .4rem; padding: .4rem .8rem; }
.amount { font-size: 2rem; font-weight: 600; margin: .5rem 0; }
button, a.back { font: inherit; padding: .6rem 1rem; margin: .4rem .4rem .4rem 0; border-radius: .4rem; }
`;

export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

export type Checkout = {
  readonly title: string;
  readonly cancelUrl: string;
  readonly payment: Payment;
};

export function checkoutPage({ title, cancelUrl, payment }: Checkout): string {
  const { amount, currency, accountId, purchaseId, state, checkoutUrl } = payment;
  const declined = state === 'declined' ? '<p role="alert">The card was declined.</p>' : '';
  const form = checkoutUrl
    ? `${declined}<form method="post">
<button name="action" value="PAY">Pay ${escaped(amount)} ${escaped(currency)}</button>
<button name="action" value="DECLINE">Have the card declined</button>
</form><p><a href="${escaped(cancelUrl)}">Leave without paying</a></p>`
    : `<p>This payment is ${escaped(state)}.</p>`;
  return page(
    `<h1>${escaped(title)}</h1>
<p class="amount">${escaped(amount)} ${escaped(currency)}</p>
<p>Account ${escaped(accountId)}, purchase ${escaped(purchaseId)}</p>
${form}`,
  );
}

export const messagePage = (text: string): string => page(`<p>${escaped(text)}</p>`);

const page = (content: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Checkout of the sandbox</title><style>${STYLE}</style></head>
<body><p class="mark">Sandbox: no money moves here.</p>
<main>${content}</main></body></html>
`;
