/** The calls of PerfectParser: a quick balance check, and what is left of each purchase. */
import type { CallOptions, Grant, Purchase, Scrip } from '@scrip/client';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { priceOf } from './verts.ts';

type Context = {
  readonly scrip: Scrip;
  readonly options: (request: FastifyRequest) => CallOptions;
};

export const perfectParser =
  ({ scrip, options }: Context): FastifyPluginAsync =>
  async (edge) => {
    edge.get('/v1/me', async (request) => {
      const { account: accountId } = request;
      const { balance } = await scrip.billing.getBalance({ accountId }, options(request));
      return { account: accountId, credits: balance?.available };
    });

    edge.get('/v1/credits', async (request) => {
      const { account: accountId } = request;
      const [{ balance, grants }, { purchases }] = await Promise.all([
        scrip.billing.getBalance({ accountId, includeGrants: true }, options(request)),
        scrip.billing.listPurchases({ accountId, states: ['STATE_PAID'] }, options(request)),
      ]);
      return {
        credits: balance?.available,
        reserved: balance?.reserved,
        purchases: purchases.map(toPurchase),
        other: grants.filter(({ source }) => source !== 'SOURCE_PURCHASE').map(toGrant),
      };
    });
  };

const toPurchase = (purchase: Purchase) => ({
  pack: purchase.title,
  credits: purchase.credits,
  remaining: purchase.remaining,
  price: priceOf(purchase.price),
  price_per_credit: priceOf(purchase.pricePerCredit),
  purchased_at: purchase.paidAt,
  expires_at: purchase.expiresAt ?? null,
});

/** Credits that were not bought, such as those of the free trial. */
const toGrant = (grant: Grant) => ({
  source: grant.source.replace('SOURCE_', '').toLowerCase(),
  credits: grant.amount,
  remaining: grant.remaining,
  expires_at: grant.expiresAt ?? null,
});
