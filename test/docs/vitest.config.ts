import { defineConfig } from 'vitest/config';

/** `npm run test:docs`. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/docs/*.test.ts'],
    // The pages follow each other: after a failure the next ones would fail as well.
    bail: 1,
    // Only for a test that hangs: npm fetches packages, and a service starts.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
