import { defineConfig } from 'vitest/config';

const citusUrl = process.env['CITUS_URL'];

/** Tests of the service that are also run on a cell of the cluster: createDatabase makes one for each. */
const OF_SERVICE = [
  'test/rpc/{accounts,balance,batch,charge,commit,erase-account-data,erasure}.test.ts',
  'test/rpc/{history,idempotency,paging}.test.ts',
  'test/rpc/{purchase,refund,release,reservations,reserve,statements,void-grant,waterfall}.test.ts',
];

/** `npm run test:citus`, with the URL of a coordinator, as its superuser, in CITUS_URL: docs/citus.md. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: citusUrl ? ['test/citus/*.test.ts', ...OF_SERVICE] : ['test/citus/skipped.test.ts'],
    exclude: citusUrl ? ['test/citus/skipped.test.ts'] : [],
    globalSetup: ['test/postgres.ts', 'test/citus/setup.ts'],
    env: citusUrl ? { TEST_CELLS_OF: citusUrl } : {},
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // Each move and each distribution is the cluster's only one.
    maxWorkers: 1,
  },
});
