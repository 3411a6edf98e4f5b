/** Prices that change while a meter is open. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { connect, Entry_Kind, type Scrip } from '../../../clients/typescript/src/index.ts';
import { grant } from '../../accounts.ts';
import { planIn } from '../../pricing/fixtures.ts';
import { SOON } from '../../process/replica.ts';
import { startTestService, type TestService } from '../../service.ts';

const START = Date.parse('2026-12-01T12:00:00Z');
const FIRST_CHANGE_MS = 10_000;
const SECOND_CHANGE_MS = 20_000;

const llm = (component: string) =>
  `{ llm: { title: LLM, billable: true, quantities: { tokens: { title: Tokens, unit: token, min: 1, max: 1000 } }, components: [${component}] } }`;
const perToken = (credits: number) =>
  `{ kind: per_unit, label: Tokens, quantity: tokens, credits: ${credits} }`;
const change = (afterMs: number, operations: string) =>
  `{ from: ${new Date(START + afterMs).toISOString()}, operations: ${operations} }`;

let service: TestService;
let scrip: Scrip;
let accountId: string;

beforeEach(async () => {
  const dearer = change(FIRST_CHANGE_MS, llm(perToken(2)));
  const uneven = change(SECOND_CHANGE_MS, llm('{ kind: flat, label: Any answer, credits: 5 }'));
  const plan = planIn(`
plan_id: llm
title: LLM
terms: {}
packs: []
operations: ${llm(perToken(1))}
changes: [${dearer}, ${uneven}]
`);
  service = await startTestService({ plans: [plan], frozenAt: START });
  scrip = connect({ address: `127.0.0.1:${service.service.port}`, caller: 'test' });
  accountId = await service.open('llm');
  await grant(service, accountId, 10_000n);
});
afterEach(async () => {
  scrip.close();
  await service.stop();
});

const open = (quantity?: string) =>
  scrip.meter(accountId, {
    operation: 'llm',
    ...(quantity === undefined ? { quantities: { tokens: 1 } } : { quantity }),
    credits: 100,
    intervalMs: 20,
  });

/** Credits charged. */
async function spent(): Promise<bigint> {
  const { balance } = await scrip.billing.getBalance({ accountId });
  expect(balance?.reserved).toBe(0n);
  return 10_000n - (balance?.remaining ?? 0n);
}

test.each([
  ['a quantity', 'tokens'],
  ['a count', undefined],
])(
  'what was reserved keeps its price, and what is reserved later has the new one: by %s',
  async (_, quantity) => {
    const meter = await open(quantity);
    service.advance(FIRST_CHANGE_MS);
    expect(meter.tryUse(100)).toBe(true);
    await vi.waitFor(() => expect(meter.tryUse(70)).toBe(true), SOON);
    expect(await meter.close()).toEqual({ allowed: 170, charged: 170, lost: 0 });
    expect(await spent()).toBe(100n + 140n);
    // It goes on with as many units as the credits buy.
    const next = await open(quantity);
    expect(next.available).toBe(50);
    await next.close();
  },
);

test('a quantity that the new price is not proportional to is metered no more, and not held', async () => {
  const meter = await open('tokens');
  service.advance(SECOND_CHANGE_MS);
  expect(meter.tryUse(100)).toBe(true);
  await vi.waitFor(() => expect(meter.problem?.message).toMatch(/part "Any answer"/), SOON);
  expect(meter.tryUse()).toBe(false);
  expect(await meter.close()).toEqual({ allowed: 100, charged: 100, lost: 0 });
  expect(await spent()).toBe(100n);
});

test('reports of a large quantity are split into usages that the service takes', async () => {
  const meter = await scrip.meter(accountId, {
    operation: 'llm',
    quantity: 'tokens',
    credits: 5_000,
    intervalMs: 6_000,
  });
  expect(meter.tryUse(2_500)).toBe(true);
  expect(await meter.close()).toMatchObject({ charged: 2_500 });
  const tokens: bigint[] = [];
  const request = { accountId, kinds: [Entry_Kind.COMMIT] };
  for await (const { entries } of scrip.billing.streamHistory(request))
    for (const { usages } of entries)
      tokens.push(...usages.map(({ usage }) => usage?.quantities['tokens'] ?? 0n));
  expect(tokens).toEqual([1_000n, 1_000n, 500n]);
});
