/** Packs, and how long their credits last, as messages. */
import type {
  Pack as PackMessage,
  PackOffer as PackOfferMessage,
  Validity as ValidityMessage,
} from '../../gen/billing/v1/pricing.ts';
import type { PackOffer } from '../../pricing/packs.ts';
import type { Pack, Validity } from '../../pricing/plan.ts';

export const packMessage = (pack: Pack): PackMessage => ({
  packId: pack.packId,
  title: pack.title,
  credits: pack.credits,
  price: pack.price,
  validity: validityMessage(pack.validity),
});

export const offerMessage = ({ pack, quantity, price, credits }: PackOffer): PackOfferMessage => ({
  pack: packMessage(pack),
  quantity,
  price,
  credits: credits ?? undefined,
});

/** Not set if the credits never expire. */
export function validityMessage(validity: Validity): ValidityMessage | undefined {
  if (validity === null) return undefined;
  return 'months' in validity
    ? { length: { $case: 'months', value: validity.months } }
    : { length: { $case: 'days', value: validity.days } };
}
