/** Packs that an account can buy: OfferPack, WithdrawPack and ListPacks. */
import {
  type ListPacksRequest,
  type ListPacksResponse,
  OfferPackRequest,
  OfferPackResponse,
  WithdrawPackRequest,
  WithdrawPackResponse,
} from '../../gen/billing/v1/account_service.ts';
import type { Money as MoneyMessage, Pack as PackMessage } from '../../gen/billing/v1/pricing.ts';
import { buyableCustomPacks } from '../../ledger/custom-pack.ts';
import { parseMoney } from '../../pricing/money.ts';
import type { Money, Pack, Validity } from '../../pricing/plan.ts';
import { findPriceError } from '../../pricing/provider-amount.ts';
import { FieldChecker } from '../call/field-checker.ts';
import { loadBook } from '../call/load-account.ts';
import { defineMutation } from '../call/mutation.ts';
import { packMessage } from '../messages/pack.ts';
import { customAmountMessage } from '../messages/plan.ts';
import type { ServiceContext } from '../service-context.ts';

export const offerPack = defineMutation(
  'OfferPack',
  OfferPackRequest,
  OfferPackResponse,
  (request, check) => ({ kind: 'OfferPack', pack: parsePack(request.pack, check) }),
  ({ pack, entrySeq }) => ({ pack: packMessage(pack), entrySeq }),
);

export const withdrawPack = defineMutation(
  'WithdrawPack',
  WithdrawPackRequest,
  WithdrawPackResponse,
  (request, check) => ({
    kind: 'WithdrawPack',
    packId: check.name('pack_id', request.packId),
  }),
  ({ pack, entrySeq }) => ({ pack: packMessage(pack), entrySeq }),
);

const TITLE_MAX = 200;
const VALIDITY_MAX = 9_999;
const EMPTY_PACK: PackMessage = {
  packId: '',
  title: '',
  credits: 0n,
  price: undefined,
  validity: undefined,
};

function parsePack(message: PackMessage | undefined, check: FieldChecker): Pack {
  if (!message) check.addViolation('pack', 'is required');
  const { packId, title, credits, price, validity } = message ?? EMPTY_PACK;
  return {
    packId: check.name('pack.pack_id', packId),
    title: check.text('pack.title', title, TITLE_MAX, 1),
    credits: check.credits('pack.credits', credits, 1n),
    price: parsePrice(price, check),
    validity: parseValidity(validity, check),
  };
}

function parsePrice(price: MoneyMessage | undefined, check: FieldChecker): Money {
  const parsed = parseMoney(price ? `${price.amount} ${price.currency}` : '');
  if (typeof parsed === 'string') check.addViolation('pack.price', price ? parsed : 'is required');
  else {
    const error = findPriceError(parsed);
    if (error === null) return parsed;
    check.addViolation('pack.price', error);
  }
  return { currency: '', amount: '' };
}

function parseValidity(validity: PackMessage['validity'], check: FieldChecker): Validity {
  if (!validity) return null;
  const { length } = validity;
  if (!length || length.value < 1 || length.value > VALIDITY_MAX)
    check.addViolation('pack.validity', `must be 1 to ${VALIDITY_MAX} months or days`);
  if (!length) return null;
  return length.$case === 'months' ? { months: length.value } : { days: length.value };
}

export async function listPacks(
  context: ServiceContext,
  request: ListPacksRequest,
): Promise<ListPacksResponse> {
  const check = new FieldChecker();
  const accountId = check.accountId(request.accountId);
  check.throwIfInvalid();
  const book = await loadBook(context, accountId);
  const { packs, customAmounts } = book.plan;
  const customPacks = await context.customPacks.find(accountId);
  return {
    packs: [
      ...packs.map((pack) => ({ pack: packMessage(pack), custom: false })),
      ...buyableCustomPacks(book.plan, customPacks).map((pack) => ({
        pack: packMessage(pack),
        custom: true,
      })),
    ],
    customAmounts: customAmounts.map(customAmountMessage),
  };
}
