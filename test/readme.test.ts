/** README's first charges, pasted as they stand. */
import '../src/telemetry/sdk.ts';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { wordsOf } from './cli/documented-commands.ts';
import { capture } from './cli/in-process.ts';
import { codeOf, snippet } from './docs/snippets.ts';
import { startTestService } from './service.ts';

const root = new URL('..', import.meta.url).pathname;

test('the first charge on the command line of README works', { timeout: 120_000 }, async () => {
  const typed = snippet('README.md', 'npx scrip account open');
  const service = await startTestService();
  const env = { SCRIP_ADDRESS: `127.0.0.1:${service.service.port}` };
  try {
    const shown: string[] = [];
    for (const line of typed.trim().split('\n')) {
      const args = wordsOf(line.replace(/#.*/, '')).slice(2);
      const { exitCode, lines } = await capture(args, env);
      expect({ line, exitCode }).toEqual({ line, exitCode: 0 });
      shown.push(...lines.map(({ text }) => text));
    }
    expect(shown).toContain('charged    6 credits');
    expect(shown).toContain('refunded   2 credits');
  } finally {
    await service.stop();
  }
});

test('the first charge of README prints what README says', { timeout: 120_000 }, async () => {
  const paste = snippet('README.md', 'npx node ');
  const [printed] = codeOf('README.md', 'text');
  const service = await startTestService();
  try {
    const { stdout } = await promisify(execFile)('bash', ['-c', paste], {
      cwd: root,
      env: { ...process.env, SCRIP: `127.0.0.1:${service.service.port}` },
    });
    expect(stdout).toBe(printed);
  } finally {
    await service.stop();
  }
});
