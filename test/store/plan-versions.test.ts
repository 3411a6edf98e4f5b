/** The versions of a plan's terms, and the version that entries name. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { publishAt } from '../../src/plan-publication.ts';
import type { PlanFile } from '../../src/pricing/plan.ts';
import { defined, HOUR } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { planIn } from '../pricing/fixtures.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let planId: string;
let count = 0;
let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());
beforeEach(() => {
  count += 1;
  planId = `versioned-${count}`;
});

type Terms = { readonly welcome?: number; readonly price?: string; readonly credits?: number };

const plan = (
  { welcome = 10, price = '5.00', credits = 1 }: Terms,
  title = 'Versioned',
): PlanFile =>
  planIn(`
plan_id: ${planId}
title: ${title}
terms:
  welcome: { credits: ${welcome}, validity: never }
packs:
  - { pack_id: small, title: Small, credits: 10, price: ${price} USD, validity: never }
operations:
  job: { title: Job, billable: true, components: [{ kind: flat, label: Job, credits: ${credits} }] }
`);

const publish = (file: PlanFile) => publishAt(scrip.databaseUrl, [file], scrip.now());

async function versions() {
  const rows = await execute(
    scrip.databaseUrl,
    `select p.version as newest, p.revision,
       (select count(*)::int from rate_cards r where r.plan_id = p.plan_id) as rate_cards,
       (select json_agg(v.version order by v.version) from plan_versions v
        where v.plan_id = p.plan_id) as versions
     from plans p where p.plan_id = $1`,
    [planId],
  );
  return rows[0];
}

test('a new plan has version 1 of its terms', async () => {
  await publish(plan({}));
  expect(await versions()).toEqual({ newest: 1, versions: [1], revision: 1, rate_cards: 1 });
});

test.each<[string, Terms, string]>([
  ['terms', { welcome: 20 }, 'Versioned'],
  ['packs', { price: '6.00' }, 'Versioned'],
  ['title', {}, 'Renamed'],
])('another version has other %s, and the earlier one stays', async (_, terms, title) => {
  await publish(plan({}));
  const first = await execute(scrip.databaseUrl, 'select * from plan_versions where plan_id = $1', [
    planId,
  ]);
  await publish(plan(terms, title));
  expect(await versions()).toEqual({ newest: 2, versions: [1, 2], revision: 2, rate_cards: 1 });
  const [earlier, later] = await execute(
    scrip.databaseUrl,
    'select * from plan_versions where plan_id = $1 order by version',
    [planId],
  );
  expect(earlier).toEqual(first[0]);
  expect({ ...later, created_at: null, version: 1 }).not.toEqual({ ...earlier, created_at: null });
});

test('other prices alone are no other version', async () => {
  await publish(plan({}));
  await publish(plan({ credits: 2 }));
  expect(await versions()).toEqual({ newest: 1, versions: [1], revision: 2, rate_cards: 2 });
});

test('nothing is published twice', async () => {
  await publish(plan({}));
  await publish(plan({}));
  expect(await versions()).toEqual({ newest: 1, versions: [1], revision: 1, rate_cards: 1 });
});

test('terms that come back are a version of their own', async () => {
  await publish(plan({}));
  await publish(plan({ welcome: 20 }));
  await publish(plan({}));
  expect(await versions()).toEqual({ newest: 3, versions: [1, 2, 3], revision: 3, rate_cards: 1 });
});

test('entries name the version in force; those of a reservation follow it', async () => {
  await publish(plan({}));
  const accountId = await scrip.open(planId);
  const id = () => ({ accountId, requestId: requestId() });
  const { reservation } = await scrip.billing.reserve({ ...id(), credits: 2n });
  const { reservationId } = defined(reservation);
  await publish(plan({ welcome: 20 }));
  await scrip.billing.commit({ ...id(), reservationId, credits: 1n });
  await publish(plan({ welcome: 20, credits: 2 }));
  await scrip.billing.charge({ ...id(), usages: { items: [{ operation: 'job' }] } });
  await scrip.accounts.moveAccount({ reason: 'a test', ...id(), planId: 'verts' });
  const rows = await execute(
    scrip.databaseUrl,
    `select kind, plan_id, plan_version, rate_card_version from history
     where account_id = $1 order by seq`,
    [accountId],
  );
  expect(rows.map((row) => Object.values(row))).toEqual([
    ['OPEN_ACCOUNT', planId, 1, null],
    ['GRANT', planId, 1, null],
    ['RESERVE', planId, 1, 1],
    ['COMMIT', planId, 2, 1],
    ['CHARGE', planId, 2, 2],
    ['PLAN_CHANGE', 'verts', 1, null],
  ]);
});

test('a cached account meets new terms with its next entry', async () => {
  await publish(plan({}));
  const accountId = await scrip.open(planId);
  const charge = () => scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
  await charge();
  await publish(plan({ price: '6.00' }));
  await charge();
  scrip.advance(HOUR);
  await publish(plan({ price: '7.00' }));
  await charge();
  const rows = await execute(
    scrip.databaseUrl,
    `select plan_version from history where account_id = $1 and kind = 'CHARGE' order by seq`,
    [accountId],
  );
  expect(rows.map(({ plan_version }) => plan_version)).toEqual([1, 2, 3]);
});
