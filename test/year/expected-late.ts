/** Late usage as the usage log implies it: how late it can be, and what of allowances returns for it. */
import { beginOf, dayOf, monthAfter, monthOf } from './calendar.ts';
import { addTo, type Draw, type ExpectedGrant } from './expected-grant.ts';

/** The earliest use that is charged at a time: of a month whose statement is open. */
export function earliestUse(
  at: number,
  window: number,
  openedAt: number,
  /** The first month with a statement. */
  postpaidFrom: string | null,
): number {
  if (window === 0) return at;
  if (postpaidFrom === null) return Math.max(at - window, openedAt);
  const month = monthOf(at);
  const before = monthAfter(month, -1);
  const isOpen = before >= postpaidFrom && at < beginOf(month) + window;
  return Math.max(at - window, openedAt, beginOf(isOpen ? before : month));
}

/** Takes what has expired of the allowance of that time. A plan with a window takes back nothing of packs. */
export function returnExpired(
  grants: readonly ExpectedGrant[],
  credits: bigint,
  usedAt: number,
  at: number,
): readonly Draw[] {
  const draws: Draw[] = [];
  let missing = credits;
  for (const grant of grants) {
    const { category, isExpired, expired, expiresAt, grantedAt } = grant;
    if (category !== 'ALLOWANCE' || !isExpired || expiresAt === null) continue;
    if (usedAt < grantedAt || usedAt >= expiresAt) continue;
    const taken = expired < missing ? expired : missing;
    if (taken === 0n) continue;
    missing -= taken;
    grant.expired -= taken;
    addTo(grant.returned, dayOf(at), taken);
    draws.push({ grant, credits: taken });
  }
  return draws;
}

export const hasOverage = (draws: readonly Draw[]): boolean =>
  draws.some(({ grant }) => grant.category === 'OVERAGE');
