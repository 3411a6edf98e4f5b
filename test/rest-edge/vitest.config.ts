import { defineConfig } from 'vitest/config';

const root = new URL('../..', import.meta.url).pathname;

/** `npm run test:edge`, after `npm run build:client`. */
export default defineConfig({
  resolve: { alias: { '@scrip/client': `${root}clients/typescript/src/index.ts` } },
  test: {
    root,
    include: ['test/rest-edge/*.test.ts'],
    globalSetup: ['test/postgres.ts'],
    // Only for a test that hangs: npm fetches the framework.
    testTimeout: 180_000,
    hookTimeout: 600_000,
  },
});
