import { defineConfig } from 'vitest/config';

/** `npm run test:backup`. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/backup/*.test.ts'],
    // Only for a test that hangs: it starts, stops and copies several clusters.
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
