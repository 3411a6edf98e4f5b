/** The pages that use grpcurl, with a grpcurl that is there or that Go builds. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { StripeFake } from '../payments/stripe-fake.ts';
import { Reader } from './reader.ts';
import { NOT_RUN, root, WITH_GRPCURL } from './register.ts';

const GRPCURL = 'github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3';

const has = (program: string, ...args: readonly string[]): boolean =>
  spawnSync(program, args, { stdio: 'ignore' }).status === 0;

const isReady = has('jq', '--version') && (has('grpcurl', '-version') || has('go', 'version'));
if (!isReady)
  process.stderr.write('skipped: pages with grpcurl, which need jq, and grpcurl or go\n');

/** The blocks of commands of a page that are run. */
function scriptsOf(page: string): readonly string[] {
  const blocks = readFileSync(join(root, page), 'utf8').matchAll(/^```sh\n(.*?)^```$/gms);
  const isRun = (script: string) =>
    !Object.keys(NOT_RUN).some((beginning) => script.startsWith(beginning));
  return [...blocks].map(([, script = '']) => script).filter(isRun);
}

describe.runIf(isReady)('with grpcurl', () => {
  const programs = mkdtempSync(join(tmpdir(), 'scrip-grpcurl-'));
  let reader: Reader;
  let stripe: StripeFake;
  beforeAll(async () => {
    if (!has('grpcurl', '-version'))
      execFileSync('go', ['install', GRPCURL], { env: { ...process.env, GOBIN: programs } });
    process.env['PATH'] = [programs, process.env['PATH']].join(delimiter);
    stripe = await new StripeFake().start();
    reader = await Reader.begin();
    await reader.usePort(50051);
    const env = { ADMIN_PORT: 'none', WAIT_MAX_MS: '600000', ...stripe.env };
    await reader.run('npm --prefix scrip start', { port: 50051, env });
  });
  afterAll(async () => {
    await reader.end();
    await stripe.stop();
    rmSync(programs, { recursive: true });
  });

  test.each(WITH_GRPCURL)('%s', async (page) => {
    for (const script of scriptsOf(page)) await reader.run(script);
  });

  test('docs/entries.md, on an account that nobody needs any more', async () => {
    const request = '{"account_id": "initech", "request_id": "open", "plan_id": "verts"}';
    await reader.run(`scrip AccountService/OpenAccount '${request}'`);
    for (const script of scriptsOf('docs/entries.md'))
      await reader.run(script.replaceAll('acme', 'initech'));
  });
});
