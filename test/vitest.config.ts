import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/postgres.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Two cores: more workers only make each other's real servers and databases late.
    maxWorkers: 2,
    // Tests that kill and time whole processes can be late on a machine that others load. Where a
    // landing depends on it such a test is tried once more, and the report says so; elsewhere it fails.
    retry: process.env['CI'] ? 1 : 0,
  },
});
