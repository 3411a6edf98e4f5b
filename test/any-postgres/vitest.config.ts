import { configDefaults, defineConfig } from 'vitest/config';

/** Tests of the service whose outcome PostgreSQL decides: locks, concurrency, order, plans, lost connections. */
const OF_SERVICE = [
  'test/{lanes,sweeper,queries,account-cache,cluster}/*.test.ts',
  'test/events/{outbox-sequencer,deliveries,stream}.test.ts',
  'test/payments/{checkout,outages,reconciler,top-ups}.test.ts',
  'test/rpc/{accounts,account-ids,balance,batch,charge,commit,ended-reservations,erase-account-data}.test.ts',
  'test/rpc/{history,idempotency,limited-grants,one-row,outages,paging,plans,purchase,refund}.test.ts',
  'test/rpc/{release,reservations,reserve,sql-in-fields,statements,waterfall}.test.ts',
];

/** Tests of what talks to the database itself. */
const OF_DATABASE = [
  'test/{pg,store,doctor}/*.test.ts',
  'test/verify/{command,events,record-run,verify}.test.ts',
  'test/clock/one-clock.test.ts',
  'test/process/migrate.test.ts',
];

const OF_POOLER = ['test/any-postgres/pooled.test.ts'];

/** A pooler lets calls wait for a database that is gone. */
const OF_OUTAGES = ['test/**/{outages,database-outage,replaced-database}.test.ts'];

const isPooled = process.env['TEST_POOLER_URL'] !== undefined;

/** `npm run test:postgres`. Only a service connects through a pooler. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: process.env['TEST_POOLER_URL']
      ? [...OF_SERVICE, ...OF_POOLER]
      : [...OF_DATABASE, ...OF_SERVICE],
    exclude: [...configDefaults.exclude, ...(isPooled ? OF_OUTAGES : [])],
    globalSetup: ['test/postgres.ts'],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
  },
});
