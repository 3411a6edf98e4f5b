import { defineConfig } from 'vitest/config';

/** `npm run test:package`, after `npm run build:client`. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/client-package/*.test.ts'],
    globalSetup: ['test/postgres.ts'],
    // Only for a test that hangs: it downloads Node and compilers.
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
