import { defineConfig } from 'vitest/config';

/** `npm run test:console`, after `npm run build:console`. */
export default defineConfig({
  test: {
    root: new URL('../../..', import.meta.url).pathname,
    include: ['test/console/browser/*.test.ts'],
    globalSetup: ['test/postgres.ts'],
    // Only for a test that hangs: a browser is slow where both cores are busy.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    maxWorkers: 1,
  },
});
