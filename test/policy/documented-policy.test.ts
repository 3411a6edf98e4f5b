/** docs/policy.md: its commands run, and its examples are policies. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { codeOf, snippet } from '../docs/snippets.ts';
import { ISSUERS, policyFileIn } from './fixtures.ts';

const PAGE = 'docs/policy.md';
const cwd = new URL('../..', import.meta.url).pathname;

test('the commands run on the example of a policy', async () => {
  const run = ['-euo', 'pipefail', '-c', snippet(PAGE, 'npm run scrip')];
  const { stdout } = await promisify(execFile)('bash', run, { cwd });
  expect(stdout).toMatch(/^deploy\/policy\.yaml: the policy is valid/m);
  expect(stdout.match(/^allowed$/gm)).toHaveLength(2);
});

// The others are parts of a pod.
const policies = codeOf(PAGE, 'yaml').filter((yaml) => !yaml.startsWith('volumes:'));

test.each(policies)('%s', (yaml) => {
  const isWhole = yaml.startsWith('issuers:');
  const { rules } = policyFileIn(isWhole ? `version: 1\n${yaml}` : `${ISSUERS}callers:\n${yaml}`);
  expect(rules.length).toBeGreaterThan(0);
});
