/** Random files: what is in the ledger is what is in the file, and stays so at the turn of the month. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { importFile } from '../../src/cli/import/import-file.ts';
import { verify } from '../../src/verify/verify.ts';
import { execute } from '../postgres.ts';
import { startTestService, type TestService } from '../service.ts';

let scrip: TestService;
let folder: string;
beforeAll(async () => {
  scrip = await startTestService({ frozenAt: Date.UTC(2026, 10, 28, 12) });
  folder = await mkdtemp(join(tmpdir(), 'scrip-import-'));
});
afterAll(async () => {
  await scrip.stop();
  await rm(folder, { recursive: true });
});

const PACKS = {
  'aspose-cloud': 'prepaid-1000',
  perfectparser: 'starter',
  verts: 'standard',
} as const;
type PlanId = keyof typeof PACKS;

/** Credits with what was spent of them: in all, and this month. */
const spending = fc
  .record({
    credits: fc.integer({ min: 1, max: 5_000 }),
    spent: fc.nat(5_000),
    spent_this_month: fc.nat(5_000),
  })
  .map(({ credits, spent, spent_this_month: now }) => ({
    credits,
    spent: Math.min(credits, spent),
    spent_this_month: Math.min(credits, spent, now),
  }));
/** Days before the import; an account is opened 400 days before it. */
const day = fc.integer({ min: 1, max: 390 });
/** From the beginning of the month to the import. */
const DAYS_OF_MONTH = 27;
const dateOf = (days: number) => new Date(Date.UTC(2026, 10, 28) - days * 86_400_000).toISOString();

const operatorGrant = fc
  .record({ of: spending, day, ends: fc.option(day) })
  .map(({ of, day: from, ends }) => ({
    source: 'operator',
    category: 'promotional',
    ...of,
    effective_at: dateOf(from),
    ...(ends !== null && ends < from && endsThen(ends, of.spent_this_month)),
  }));
/** Of what was over when the month began, the month has spent nothing. */
const endsThen = (ends: number, spent: number) => ({
  expires_at: dateOf(ends),
  spent_this_month: ends < DAYS_OF_MONTH ? spent : 0,
});

const welcome = spending.map((of) => ({ source: 'welcome', ...of, effective_at: dateOf(399) }));
const allowance = (month: string) =>
  spending.map(({ spent_this_month: now, ...of }) => ({
    source: 'allowance',
    ...of,
    // Of another month, nothing is spent in this one.
    spent_this_month: month === '2026-11' ? now : 0,
    effective_at: `${month}-01`,
  }));

const account = fc.constantFrom<PlanId>('aspose-cloud', 'perfectparser', 'verts').chain((planId) =>
  fc.record({
    planId: fc.constant(planId),
    grants: fc
      .tuple(
        fc.array(operatorGrant, { maxLength: 3 }),
        fc.option(welcome),
        fc.option(allowance('2026-11')),
        fc.option(allowance('2026-08')),
      )
      .map(([grants, first, ...allowances]) =>
        [...grants, first, ...(planId === 'aspose-cloud' ? allowances : [])].filter(
          (one) => one !== null,
        ),
      ),
    purchases: fc.array(
      fc.record({ of: spending, day }).map(({ of, day: at }) => ({
        pack_id: PACKS[planId],
        ...of,
        paid_at: dateOf(at),
      })),
      { maxLength: 4 },
    ),
    price: fc.integer({ min: 1, max: 99_999 }),
    overage: planId === 'aspose-cloud' ? fc.nat(500) : fc.constant(0),
  }),
);

let made = 0;
type Given = typeof account extends fc.Arbitrary<infer One> ? One : never;
const recordOf = ({ planId, grants, purchases, price, overage }: Given) => ({
  account_id: `random-${++made}`,
  plan_id: planId,
  opened_at: dateOf(400),
  grants,
  purchases: purchases.map((one, index) => ({
    ...one,
    price: `${(price / 100).toFixed(2)} USD`,
    payment_reference: `invoice-${index}`,
  })),
  month: { month: '2026-11', overage },
});

test('the sums of a random file are those of the ledger', async () => {
  const path = join(folder, 'random.jsonl');
  await fc.assert(
    fc.asyncProperty(fc.array(account, { minLength: 1, maxLength: 40 }), async (accounts) => {
      const records = accounts.map(recordOf);
      await writeFile(path, records.map((record) => JSON.stringify(record)).join('\n'));
      const mistakes: unknown[] = [];
      const imported = await importFile(scrip, {
        path,
        system: 'billing-v1',
        file: 'random.jsonl',
        validateOnly: false,
        onMistake: (mistake) => mistakes.push(mistake),
        onProgress: () => {},
      });
      expect(mistakes).toEqual([]);
      expect(imported).toMatchObject({ imported: accounts.length, there: 0, refused: 0 });
      expect(imported.ledger).toEqual(imported.file);
      const items = records.flatMap(({ grants, purchases }) => [...grants, ...purchases]);
      const granted = imported.file.reduce((sum, of) => sum + of.granted, 0n);
      expect(granted).toBe(BigInt(items.reduce((sum, { credits }) => sum + credits, 0)));
    }),
    { numRuns: 12 },
  );
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });

  // The first allowance of the service itself is that of December; welcome credits never come.
  scrip.setNow(Date.UTC(2026, 11, 1));
  await scrip.service.sweep();
  const [row] = await execute(
    scrip.databaseUrl,
    `select count(*) filter (where plan_id = 'aspose-cloud')::int as postpaid,
       count(*) filter (where exists (select from grants g where g.account_id = a.account_id
         and g.source = 'ALLOWANCE' and g.created_at = '2026-12-01'))::int as granted,
       (select count(*)::int from grants where source <> 'ALLOWANCE' and created_at >= '2026-12-01') as others,
       (select count(*)::int from statements) as statements
     from accounts a`,
  );
  expect(row).toEqual({
    postpaid: row?.['postpaid'],
    granted: row?.['postpaid'],
    others: 0,
    statements: row?.['postpaid'],
  });
  expect(await verify(scrip.databaseUrl)).toMatchObject({ ok: true });
});
