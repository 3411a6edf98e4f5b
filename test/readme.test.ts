/** README's first charge, pasted as it stands. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { startTestService } from './service.ts';

const root = new URL('..', import.meta.url).pathname;

/** The contents of the fenced blocks of one language. */
const blocks = (markdown: string, language: string): readonly string[] =>
  [...markdown.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, content]) => content ?? '',
  );

test('the first charge of README prints what README says', { timeout: 120_000 }, async () => {
  const readme = await readFile(`${root}README.md`, 'utf8');
  const paste = blocks(readme, 'sh').find((block) => block.includes('connect('));
  const [printed] = blocks(readme, 'text');
  const service = await startTestService();
  try {
    const { stdout } = await promisify(execFile)('bash', ['-c', paste ?? 'false'], {
      cwd: root,
      env: { ...process.env, SCRIP: `127.0.0.1:${service.service.port}` },
    });
    expect(stdout).toBe(printed);
  } finally {
    await service.stop();
  }
});
