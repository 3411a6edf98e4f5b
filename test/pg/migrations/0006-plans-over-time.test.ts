/** Migration 0006 on a database whose accounts could not change their plan. */
import { beforeAll, expect, inject, test } from 'vitest';
import { seal } from '../../../src/ledger/hash-chain.ts';
import { migrate } from '../../../src/pg/migrate.ts';
import type { Row } from '../../../src/pg/table.ts';
import { entries } from '../../../src/store/tables/entries.ts';
import { verify } from '../../../src/verify/verify.ts';
import { createDatabase, execute } from '../../postgres.ts';
import { planIn } from '../../pricing/fixtures.ts';
import { requestId, startTestService } from '../../service.ts';
import { createDatabaseAt } from './old-database.ts';

const plan = (planId: string, credits: number) =>
  planIn(`
plan_id: ${planId}
title: ${planId}
terms: { welcome: { credits: 100, validity: never } }
packs: []
operations:
  job: { title: Job, billable: true, components: [{ kind: flat, label: Job, credits: ${credits} }] }
`);
const plans = [plan('old', 5), plan('new', 2)];
const usages = { items: [{ operation: 'job' }] };

let databaseUrl: string;
beforeAll(async () => {
  databaseUrl = await createDatabase(inject('postgresUrl'));
});

/** Makes the database one that migration 0005 left. */
async function revertMigration() {
  await execute(
    databaseUrl,
    `alter table entries drop constraint entries_plan_change_check, drop constraint entries_kind_check;
     alter table entries drop column plan_id, drop column previous_plan_id;
     alter table reservations drop column plan_id;
     alter table rate_cards drop column effective_at;
     alter table plans drop column revision, drop column withdrawn, add column rate_card_version int;
     update plans set rate_card_version = 1;
     alter table entries add constraint entries_kind_check check (kind <> 'PLAN_CHANGE');
     delete from schema_migrations where name = '0006-plans-over-time'`,
  );
}

/** Recomputes the hash chain of an account, whose entries name no plan any more. */
async function reseal(accountId: string) {
  const rows = await execute(
    databaseUrl,
    `select ${entries.selectList} from entries where account_id = $1 order by seq`,
    [accountId],
  );
  let before: Uint8Array = new Uint8Array();
  for (const row of rows) {
    const sealed = seal(entries.read(row as Row), before);
    before = sealed.hash;
    await execute(databaseUrl, 'update entries set hash = $3 where account_id = $1 and seq = $2', [
      accountId,
      sealed.seq,
      sealed.hash,
    ]);
  }
  await execute(databaseUrl, 'update accounts set last_hash = $2 where account_id = $1', [
    accountId,
    before,
  ]);
}

test('reservations get the plan of their account, entries keep their hashes, and both go on', async () => {
  const first = await startTestService({ databaseUrl, plans });
  const accountId = await first.open('old');
  const named = () => ({ accountId, requestId: requestId() });
  const { reservation } = await first.billing.reserve({ ...named(), usages });
  const { entrySeq: seq } = await first.billing.charge({ ...named(), usages });
  await first.stop();

  await revertMigration();
  expect(await migrate(databaseUrl)).toEqual(['0006-plans-over-time']);
  await reseal(accountId);
  expect(await verify(databaseUrl)).toMatchObject({ ok: true });
  const dates = 'select distinct effective_at = created_at as same from rate_cards';
  expect(await execute(databaseUrl, dates)).toEqual([{ same: true }]);

  const scrip = await startTestService({ databaseUrl, plans });
  expect(await execute(databaseUrl, 'select max(version) as newest from rate_cards')).toEqual([
    { newest: 1 },
  ]);
  await scrip.accounts.moveAccount({ ...named(), planId: 'new' });
  const { reservationId = '' } = reservation ?? {};
  const committed = await scrip.billing.commit({ ...named(), reservationId, usages });
  expect(committed).toMatchObject({ committed: 5n, reservation: { planId: 'old' } });
  await scrip.billing.refund({ ...named(), seq, all: true });
  expect((await scrip.billing.charge({ ...named(), usages })).credits).toBe(2n);
  expect(await verify(databaseUrl)).toMatchObject({ ok: true });
  await scrip.stop();
});

test('it runs on the schema of 0005, without tables of a later release', async () => {
  const old = await createDatabaseAt(inject('postgresUrl'), '0002-events');
  expect(await migrate(old)).toContain('0006-plans-over-time');
});
