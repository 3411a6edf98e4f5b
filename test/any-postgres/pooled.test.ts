/** What the doctor says of PgBouncer in transaction mode. */
import { expect, inject, test } from 'vitest';
import { diagnose } from '../../src/doctor/diagnose.ts';
import { readDatabase } from '../../src/doctor/read-database.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { WELL } from '../doctor/well.ts';
import { createDatabase, execute, urlOfService } from '../postgres.ts';
import { plansOfDeploy } from '../service.ts';

async function examine(url: string) {
  const facts = { ...(await readDatabase(url, false)), host: WELL.host, config: WELL.config };
  const { findings } = diagnose(facts);
  const said = findings.filter(({ about }) => ['session', 'pooler', 'schema'].includes(about));
  return { facts, said: said.map(({ level, problem }) => `${level}: ${problem}`) };
}

test('it is recognized, and the user has the settings of the service', async () => {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  await publishAt(databaseUrl, await plansOfDeploy(), Date.now());
  const url = urlOfService(databaseUrl, inject('poolerUrl'));
  const { facts, said } = await examine(url);
  expect(facts.connection).toMatchObject({
    isEncrypted: true,
    isVerified: true,
    pooler: { mode: 'transaction', hasPreparedStatements: true, carriesBatches: true },
  });
  expect(said).toEqual([expect.stringMatching(/^note: a pooler in transaction mode/)]);
});

test('settings of the database are seen through it', async () => {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  const url = urlOfService(databaseUrl, inject('poolerUrl'));
  const name = new URL(databaseUrl).pathname.slice(1);
  await execute(databaseUrl, `alter database ${name} set idle_session_timeout = '1h'`);
  const { said } = await examine(url);
  expect(said).toContainEqual(expect.stringMatching(/^warning: .*idle_session_timeout = 1h/));
});
