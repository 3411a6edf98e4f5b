/** The calls of Verts: its balance, its history, and the checkout of packs. */
import { randomUUID } from 'node:crypto';
import type { CallOptions, Entry, Money, Scrip } from '@scrip/client';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';

/** Where a customer goes after the checkout. */
export type CheckoutPages = { readonly successUrl: string; readonly cancelUrl: string };

type Context = {
  readonly scrip: Scrip;
  readonly options: (request: FastifyRequest) => CallOptions;
  readonly pages: CheckoutPages;
};

type HistoryQuery = { readonly limit: number; readonly before?: number };
type CheckoutBody = { readonly pack_id: string };

const historyQuery = {
  type: 'object',
  properties: {
    limit: { type: 'integer', minimum: 1, maximum: 500, default: 50 },
    before: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
  },
};

const checkoutBody = {
  type: 'object',
  required: ['pack_id'],
  properties: { pack_id: { type: 'string', minLength: 1, maxLength: 63 } },
};

export const verts =
  ({ scrip, options, pages }: Context): FastifyPluginAsync =>
  async (edge) => {
    edge.get('/v1/account/credits', async (request) => {
      const { account: accountId } = request;
      const { balance } = await scrip.billing.getBalance({ accountId }, options(request));
      return { credits: balance?.available, low_balance_warning: balance?.lowBalance };
    });

    /** Seqs have no gaps, so the page before an entry is found without reading what lies before it. */
    edge.get<{ Querystring: HistoryQuery }>(
      '/v1/account/credits/history',
      { schema: { querystring: historyQuery } },
      async (request) => {
        const { account: accountId, query } = request;
        const { balance } = await scrip.billing.getBalance({ accountId }, options(request));
        const newest = balance?.seq ?? 0n;
        const asked = query.before === undefined ? newest : BigInt(query.before - 1);
        const last = asked < newest ? asked : newest;
        const afterSeq = last > query.limit ? last - BigInt(query.limit) : 0n;
        const transactions = [];
        if (afterSeq < last)
          for await (const entry of scrip.history(accountId, { ...options(request), afterSeq })) {
            transactions.unshift(toTransaction(entry));
            if (entry.seq === last) break;
          }
        return { transactions, next_before: afterSeq > 0n ? afterSeq + 1n : null };
      },
    );

    /** A checkout has an effect: its Idempotency-Key is the request id, so a repeat opens no second one. */
    edge.post<{ Body: CheckoutBody }>(
      '/v1/billing/checkout',
      { schema: { body: checkoutBody } },
      async (request, reply) => {
        const requestId = request.headers['idempotency-key']?.toString() ?? randomUUID();
        // Also with an error, after which the customer repeats it under this key.
        reply.header('idempotency-key', requestId);
        const { purchase, replay } = await scrip.billing.purchase(
          {
            accountId: request.account,
            requestId,
            packId: request.body.pack_id,
            payment: { $case: 'checkout', value: pages },
          },
          options(request),
        );
        if (replay) reply.header('idempotent-replayed', 'true');
        return reply.code(201).send({
          purchase_id: purchase?.purchaseId,
          pack_id: purchase?.packId,
          credits: purchase?.credits,
          price: priceOf(purchase?.price),
          checkout_url: purchase?.checkoutUrl,
        });
      },
    );
  };

const toTransaction = (entry: Entry) => ({
  id: entry.seq,
  type: entry.kind.replace('KIND_', '').toLowerCase(),
  credits: entry.credits,
  balance: entry.remainingAfter,
  operations: entry.usages.map(({ usage }) => usage?.operation),
  reference: entry.reference,
  created_at: entry.at,
});

/** Such as "20.00 USD". */
export const priceOf = (money: Money | undefined): string =>
  `${money?.amount ?? '0'} ${money?.currency ?? ''}`;
