import { defineConfig } from 'vitest/config';

/** `npm run test:observability`. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/observability/*.test.ts'],
    // They use the same build of the collector.
    fileParallelism: false,
    globalSetup: ['test/postgres.ts'],
    // Only for a test that hangs: the first build of the collector fetches and compiles its modules.
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
  },
});
