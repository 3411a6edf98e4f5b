/** Decides what to charge for a job that ran without a reservation. */
import type { CallOptions } from '../call-options.ts';
import type { Scrip } from '../connect.ts';
import { ChargeRequest, ReserveRequest } from '../gen/billing/v1/billing_service.ts';
import type { Usage } from '../gen/billing/v1/pricing.ts';
import type { JobState } from './job-state.ts';
import { type PackedRequest, pack, unpack } from './journal-record.ts';

type Estimates = Pick<Scrip['billing'], 'estimate'>;

/** How many usages one request has at most. */
const MAX_USAGES = 1_000;

/** The Charge of all uses: what they cost, and at most the limit. */
export async function priceUses(
  billing: Estimates,
  { job, account, reserve }: Pick<JobState, 'job' | 'account' | 'reserve'>,
  uses: readonly PackedRequest[],
  limit: bigint,
  options: CallOptions,
): Promise<PackedRequest> {
  const { reference, labels } = unpack(ReserveRequest, reserve);
  const amounts = uses.map((use) => unpack(ChargeRequest, use));
  const usages = amounts.flatMap((amount) => amount.usages?.items ?? []);
  const given = amounts.reduce((sum, { credits }) => sum + (credits ?? 0n), 0n);
  const priced = await price(billing, account, usages, options);
  const credits = given + priced.credits;
  // The entry shows the usages where they alone make the amount.
  const isByUsages = given === 0n && credits <= limit && priced.rateCardVersion !== null;
  const charge = isByUsages
    ? { usages: { items: usages }, rateCardVersion: priced.rateCardVersion ?? 0n }
    : { credits: credits < limit ? credits : limit };
  const request = { accountId: account, requestId: job, reference, labels, ...charge };
  return pack(ChargeRequest, ChargeRequest.fromPartial(request));
}

/** The rate card version is null if no single request has a price for all. */
async function price(
  billing: Estimates,
  accountId: string,
  usages: readonly Usage[],
  options: CallOptions,
): Promise<{ readonly credits: bigint; readonly rateCardVersion: bigint | null }> {
  let credits = 0n;
  let rateCardVersion: bigint | null = null;
  for (let from = 0; from < usages.length; from += MAX_USAGES) {
    const items = usages.slice(from, from + MAX_USAGES);
    const estimate = await billing.estimate({ accountId, usages: { items } }, options);
    credits += estimate.credits;
    if (usages.length <= MAX_USAGES) rateCardVersion = estimate.rateCardVersion;
  }
  return { credits, rateCardVersion };
}
