import { defineConfig } from 'vitest/config';

/** `npm run test:deploy`. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/deploy/*.test.ts'],
    globalSetup: ['test/postgres.ts', 'test/deploy/build-tools.ts'],
    // Each of them keeps both cores busy.
    fileParallelism: false,
    // Only for a test that hangs: the first build of the tools fetches and compiles their modules.
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
  },
});
