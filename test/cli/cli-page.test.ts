/** docs/cli.md shows the commands, options and exit codes that there are. `vitest -u` writes its second half. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { cliPage } from './cli-page.ts';

const page = new URL('../../docs/cli.md', import.meta.url).pathname;
const MARK = '<!-- Below: written by test/cli/cli-page.test.ts, when it is run with -u. -->\n';

test('docs/cli.md is up to date', async () => {
  const [written = ''] = readFileSync(page, 'utf8').split(MARK);
  await expect(`${written}${MARK}\n${cliPage()}\n`).toMatchFileSnapshot(page);
});
