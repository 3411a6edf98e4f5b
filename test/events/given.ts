/** Test data for events: an account whose every grant and charge crosses its low-balance level. */
import type { Event } from '../../src/gen/billing/v1/event_service.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { requestId, type TestService } from '../service.ts';

/** Opens an account with 400 credits, below its level of 500. It has one event: balance.low. */
export async function crossing(scrip: TestService): Promise<string> {
  const accountId = await scrip.open('verts');
  await grant(scrip, accountId, 400n);
  return accountId;
}

export const grant = (scrip: TestService, accountId: string, credits: bigint) =>
  scrip.accounts.grantCredits({
    reason: 'a test',
    accountId,
    requestId: requestId(),
    credits,
    category: Grant_Category.PAID,
  });

/** Writes `times` events: balance.recovered and balance.low alternate. */
export async function cross(scrip: TestService, accountId: string, times: number): Promise<void> {
  for (let time = 0; time < times; time++)
    if (time % 2 === 0) await grant(scrip, accountId, 150n);
    else await scrip.billing.charge({ accountId, requestId: requestId(), credits: 150n });
}

type Request = Parameters<TestService['events']['streamEvents']>[0];

/** The events that have a position now. */
export async function eventsOf(scrip: TestService, request: Request = {}): Promise<Event[]> {
  const events: Event[] = [];
  for await (const message of scrip.events.streamEvents(request)) events.push(...message.events);
  return events;
}

/** What an event says, as an object. */
export const dataOf = ({ data }: Event): Readonly<Record<string, string>> =>
  Object.fromEntries(data);

export const positionsOf = (events: readonly Event[]): bigint[] =>
  events.map(({ position }) => position);

/** first, first + 1 … up to last. */
export const from = (first: number, last: number): bigint[] =>
  Array.from({ length: last - first + 1 }, (_, index) => BigInt(first + index));
