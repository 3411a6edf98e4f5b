/** Reads what was decided in shadow mode: of an account, and of all. */
import type { Scrip } from '../../src/client.ts';
import type { ShadowDecision } from '../../src/gen/billing/v1/account_service.ts';
import { mustBe, pagesOf } from './checks-of-all.ts';

/** So short that there are several pages. */
const PAGE_SIZE = 7;

type Filter = Parameters<Scrip['accounts']['listShadowDecisions']>[0];

const readAll = ({ accounts }: Scrip, filter: Filter): Promise<ShadowDecision[]> =>
  pagesOf(async (pageToken) => {
    const page = await accounts.listShadowDecisions({ ...filter, pageSize: PAGE_SIZE, pageToken });
    return { items: page.decisions, nextPageToken: page.nextPageToken };
  });

export const decisionsOf = (scrip: Scrip, accountId: string): Promise<ShadowDecision[]> =>
  readAll(scrip, { accountId });

/** The list of all accounts has those of each, by account; and those of a time are all of it. */
export async function checkDecisions(decided: readonly ShadowDecision[], scrip: Scrip) {
  const all = decided.toSorted((a, b) => (a.accountId < b.accountId ? -1 : 1));
  const ordered = [...Map.groupBy(all, ({ accountId }) => accountId).values()].flatMap((some) =>
    some.toSorted((a, b) => Number(a.seq - b.seq)),
  );
  mustBe('the decisions of shadow mode', await readAll(scrip, {}), ordered);
  const middle = decided[Math.floor(decided.length / 2)]?.at;
  if (!middle) return;
  const isBefore = ({ at }: ShadowDecision) => (at ?? middle) < middle;
  mustBe('the earlier decisions', await readAll(scrip, { to: middle }), ordered.filter(isBefore));
  const later = ordered.filter((decision) => !isBefore(decision));
  mustBe('the later decisions', await readAll(scrip, { from: middle }), later);
}
