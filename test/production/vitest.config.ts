import { defineConfig } from 'vitest/config';

/** `npm run test:production`, after `npm run build`. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/production/*.test.ts'],
    // Only for a test that hangs: `npm ci` downloads everything.
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
