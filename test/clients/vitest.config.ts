import { defineConfig } from 'vitest/config';

/** `npm run test:clients`. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/clients/*.test.ts'],
    globalSetup: ['test/postgres.ts'],
    // Only for a test that hangs: a build fetches its libraries.
    testTimeout: 1_800_000,
    hookTimeout: 180_000,
  },
});
