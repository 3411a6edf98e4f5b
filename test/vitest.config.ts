import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    // It needs a build, and has a configuration of its own.
    exclude: [...configDefaults.exclude, 'test/production/**'],
    globalSetup: ['test/postgres.ts'],
    // Only for a test that hangs: a test that starts processes takes a minute where both cores are busy.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // Two cores: more workers would only delay each other's servers and databases.
    maxWorkers: 2,
  },
});
