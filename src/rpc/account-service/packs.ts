/** Packs that an account can buy: its plan's, and those offered to it alone. */
import {
  OfferPackRequest,
  OfferPackResponse,
  WithdrawPackRequest,
  WithdrawPackResponse,
} from '../../gen/billing/v1/account_service.ts';
import type { Money as MoneyMessage, Pack as PackMessage } from '../../gen/billing/v1/pricing.ts';
import { accountNotFound } from '../../ledger/failures.ts';
import { parseMoney } from '../../pricing/money.ts';
import type { Money, Pack, Validity } from '../../pricing/plan.ts';
import { listCustomPacks } from '../../store/purchases.ts';
import { Check } from '../call/field-checker.ts';
import { unary } from '../call/handler.ts';
import { mutation } from '../call/mutation.ts';
import { packMessage } from '../messages/plan.ts';
import type { ServiceContext } from '../service-context.ts';

export const offerPack = mutation(
  'OfferPack',
  OfferPackRequest,
  OfferPackResponse,
  (request, check) => ({ kind: 'OfferPack', pack: packOf(request.pack, check) }),
  ({ pack }) => ({ pack: packMessage(pack) }),
);

export const withdrawPack = mutation(
  'WithdrawPack',
  WithdrawPackRequest,
  WithdrawPackResponse,
  (request, check) => ({
    kind: 'WithdrawPack',
    packId: check.name('pack_id', request.packId),
  }),
  ({ pack }) => ({ pack: packMessage(pack) }),
);

const TITLE_MAX = 200;
const LENGTH_MAX = 9_999;
const NOTHING: PackMessage = {
  packId: '',
  title: '',
  credits: 0n,
  price: undefined,
  validity: undefined,
};

function packOf(message: PackMessage | undefined, check: Check): Pack {
  if (!message) check.refuse('pack', 'is required');
  const { packId, title, credits, price, validity } = message ?? NOTHING;
  return {
    packId: check.name('pack.pack_id', packId),
    title: check.text('pack.title', title, TITLE_MAX, 1),
    credits: check.credits('pack.credits', credits, 1n),
    price: priceOf(price, check),
    validity: validityOf(validity, check),
  };
}

function priceOf(price: MoneyMessage | undefined, check: Check): Money {
  const read = parseMoney(price ? `${price.amount} ${price.currency}` : '');
  if (typeof read !== 'string') {
    // The database keeps 11 digits before the point.
    if (read.amount.split('.')[0]!.length <= 11) return read;
    check.refuse('pack.price', 'must have at most 11 digits before the point');
  } else check.refuse('pack.price', price ? read : 'is required');
  return { currency: '', amount: '' };
}

function validityOf(validity: PackMessage['validity'], check: Check): Validity {
  if (!validity) return null;
  const { length } = validity;
  if (!length || length.value < 1 || length.value > LENGTH_MAX)
    check.refuse('pack.validity', `must be 1 to ${LENGTH_MAX} months or days`);
  if (!length) return null;
  return length.$case === 'months' ? { months: length.value } : { days: length.value };
}

export function listPacksHandler(context: ServiceContext, method: string) {
  return unary(context, method, async (request: { readonly accountId: string }) => {
    const check = new Check();
    const accountId = check.accountId(request.accountId);
    check.pass();
    const book = await context.snapshots.read(accountId);
    if (!book) return accountNotFound(accountId);
    const { packs } = book.plan;
    const custom = await listCustomPacks(context.em(), accountId);
    // Where a plan got a pack of the same name later, the plan's is the one sold.
    const own = custom.filter(({ packId }) => packs.every((pack) => pack.packId !== packId));
    return {
      response: {
        packs: [
          ...packs.map((pack) => ({ pack: packMessage(pack), custom: false })),
          ...own.map((pack) => ({ pack: packMessage(pack), custom: true })),
        ],
      },
    };
  });
}
