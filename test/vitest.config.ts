import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    // They need a build, Debian's packages, or other toolchains, and have configurations of their own.
    exclude: [
      ...configDefaults.exclude,
      'test/{production,any-postgres,backup,clients,client-package,observability,rest-edge,docs,deploy,citus}/**',
      'test/console/browser/**',
    ],
    globalSetup: ['test/postgres.ts'],
    // Only for a test that hangs: a test that starts processes takes a minute where both cores are busy.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // Two cores: more workers would only delay each other's servers and databases.
    maxWorkers: 2,
  },
});
