/** Goes through the charges of a database that wrong prices made, account by account, and says what corrects each. */
import type { Em } from '../pg/orm.ts';
import type { RateCard } from '../pricing/plan.ts';
import { accountIdsAfter } from '../queries/accounts.ts';
import {
  type Correction,
  correctionOf,
  NO_CORRECTIONS,
  type RecordedCharge,
} from './correction.ts';
import {
  accountsWithCharges,
  type ChargeFilter,
  chargesOf,
  correctionsOf,
  isInShadowMode,
} from './read-charges.ts';

export type RatedCharge = { readonly charge: RecordedCharge; readonly correction: Correction };

/** A charge would be answered, and charge nothing, for ever: its request id is that of the correction. */
const IN_SHADOW_MODE = 'its account is in shadow mode';

/** Charges that are in memory at the same time. */
const PAGE_SIZE = 1_000;

/** Yields what is to be corrected, was, or cannot be; accounts in the order of their ids, charges in that of their seqs. */
export async function* rerate(
  em: () => Em,
  filter: ChargeFilter,
  right: RateCard,
  accountId: string | null,
): AsyncGenerator<RatedCharge, void, void> {
  if (accountId !== null) {
    yield* rerateAccount(em, filter, right, accountId);
    return;
  }
  for (let after = ''; ; ) {
    const ids = await accountIdsAfter(em(), after);
    for (const id of await accountsWithCharges(em(), filter, ids))
      yield* rerateAccount(em, filter, right, id);
    after = ids.at(-1) ?? '';
    if (ids.length === 0) return;
  }
}

async function* rerateAccount(
  em: () => Em,
  filter: ChargeFilter,
  right: RateCard,
  accountId: string,
): AsyncGenerator<RatedCharge, void, void> {
  const earlier = await correctionsOf(em(), accountId);
  const isShadowed = await isInShadowMode(em(), accountId);
  const { operation } = filter;
  for (let after = 0n; ; ) {
    const charges = await chargesOf(em(), filter, accountId, after, PAGE_SIZE);
    for (const charge of charges) {
      if (operation !== '' && !charge.usages.some(({ usage }) => usage.operation === operation))
        continue;
      const made = earlier.get(charge.seq) ?? NO_CORRECTIONS;
      const correction = correctionOf(charge, made, right, operation);
      if (correction.state === 'charge' && isShadowed)
        yield { charge, correction: { ...correction, state: 'by hand', why: IN_SHADOW_MODE } };
      else if (correction.state !== 'right') yield { charge, correction };
    }
    if (charges.length < PAGE_SIZE) return;
    after = charges.at(-1)?.seq ?? after;
  }
}
