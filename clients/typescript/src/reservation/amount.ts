/** What a job uses: usages, priced on the account's rate card, or a number of credits. */
import { complete } from '../complete.ts';
import { ChargeRequest } from '../gen/billing/v1/billing_service.ts';
import type { Usages } from '../gen/billing/v1/pricing.ts';
import type { DeepPartial } from '../method.ts';

export type Amount =
  | { readonly usages: DeepPartial<Usages>; readonly credits?: undefined }
  | { readonly credits: bigint; readonly usages?: undefined };

/** One amount for all that was used. Null if there is none. Throws a TypeError if some are usages and some credits. */
export function sumOf(amounts: readonly Amount[]): Amount | null {
  let credits: bigint | null = null;
  let items: DeepPartial<Usages>['items'] | null = null;
  for (const amount of amounts)
    if (amount.usages) items = [...(items ?? []), ...(amount.usages.items ?? [])];
    else credits = (credits ?? 0n) + amount.credits;
  if (items && credits !== null)
    throw new TypeError('one commit charges either usages or credits, and not both');
  if (items) return { usages: { items } };
  return credits === null ? null : { credits };
}

/**
 * The amount as it is now: the caller may use its objects again. Throws a TypeError unless exactly one of usages and
 * credits is given, and as `complete` if no request can have it: at the end of the work that would be too late.
 */
export function takeAmount({ usages, credits }: Amount): Amount {
  // Plain JavaScript may say null.
  const hasCredits = credits !== undefined && credits !== null;
  if (Boolean(usages) === hasCredits) throw new TypeError('give either usages or credits');
  const request = complete(ChargeRequest, hasCredits ? { credits } : { ...(usages && { usages }) });
  ChargeRequest.encode(request);
  if (request.usages) return { usages: request.usages };
  const { credits: taken = 0n } = request;
  if (taken < 0n) throw new RangeError('credits must be 0 or more');
  return { credits: taken };
}
