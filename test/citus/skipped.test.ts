import { test } from 'vitest';

test.skip('cells on Citus, which need a cluster in CITUS_URL: docs/citus.md', () => {});
