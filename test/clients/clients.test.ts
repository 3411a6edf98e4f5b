/** The examples in other languages, built and run as their pages in docs/clients/ say. */
import { execFile, execFileSync } from 'node:child_process';
import { constants } from 'node:fs';
import { cp, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { unsigned } from '../authentication/token-authority.ts';
import { hasToolchain, LANGUAGES, type Language } from './languages.ts';
import { type Step, stepsOf } from './page.ts';
import { CALLERS, type ProtectedService, startProtected } from './protected-service.ts';

const root = new URL('../..', import.meta.url).pathname;
/** The account of the pages, their address, and the request id of their section on tokens. */
const ACCOUNT = 'acme';
const ADDRESS = 'billing:50051';
const TOKEN_JOB = 'job-2';

type Ended = { readonly output: string; readonly exitCode: number };

/** A copy of the example and of the protos, as they lie in the repository, without what builds have made. */
async function copyExample(id: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-clients-'));
  await cp(join(root, 'proto/billing'), join(directory, 'proto/billing'), { recursive: true });
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', `examples/${id}`], {
    cwd: root,
    encoding: 'utf8',
  });
  for (const file of files.trim().split('\n')) await cp(join(root, file), join(directory, file));
  return directory;
}

/** The example in a folder of its own, with a service that has the account, and the files of callers. */
async function prepare({ id }: Language) {
  const directory = await copyExample(id);
  const scrip = await startProtected();
  const folder = join(directory, 'examples', id);
  await scrip.writeCredentials(folder);
  await scrip.accounts.openAccount({
    accountId: ACCOUNT,
    requestId: 'open',
    planId: 'perfectparser',
  });
  return {
    scrip,
    folder,
    async end() {
      await scrip.stop();
      await rm(directory, { recursive: true });
    },
  };
}

/** Runs commands of a page in the folder of the example. */
function run(script: string, folder: string, address: string): Promise<Ended> {
  const commands = `exec 2>&1\n${script.replaceAll(ADDRESS, address)}`;
  const path = `${join(root, 'node_modules/.bin')}${delimiter}${process.env['PATH']}`;
  return new Promise((resolve) => {
    execFile(
      'bash',
      ['-euo', 'pipefail', '-c', commands],
      { cwd: folder, env: { ...process.env, PATH: path }, maxBuffer: 64 * 1024 * 1024 },
      (error, output) => resolve({ output, exitCode: error ? Number(error.code) : 0 }),
    );
  });
}

/** The callers of the entries that charged the account, by request id. */
async function chargesOf({ billing }: ProtectedService): Promise<Readonly<Record<string, string>>> {
  const charges: Record<string, string> = {};
  const kinds = [Entry_Kind.CHARGE];
  for await (const { entries } of billing.streamHistory({ accountId: ACCOUNT, kinds }))
    for (const { requestId, caller } of entries) charges[requestId] = caller;
  return charges;
}

/** Resolves once there is the entry of a charge under this request id. */
async function charged({ billing }: ProtectedService, job: string) {
  const follow = { accountId: ACCOUNT, kinds: [Entry_Kind.CHARGE], follow: true };
  for await (const { entries } of billing.streamHistory(follow))
    if (entries.some(({ requestId }) => requestId === job)) return;
}

/** A named pipe in place of a file: who reads it waits until something is written to it. */
async function makePipe(file: string) {
  await rm(file);
  execFileSync('mkfifo', [file]);
  return {
    write: (content: string) => writeFile(file, content),
    /** Lets a write end that nobody reads. */
    release: async () => (await open(file, constants.O_RDONLY | constants.O_NONBLOCK)).close(),
  };
}

for (const language of LANGUAGES) {
  const isPresent = hasToolchain(language);
  if (!isPresent)
    process.stderr.write(`skipped: ${language.name}, which needs ${language.needs}\n`);

  describe.runIf(isPresent)(language.name, () => {
    const steps = stepsOf(`${language.id}.md`);
    const stepIn = (section: string): Step => {
      const step = steps.find((each) => each.section === section);
      if (!step) throw new Error(`the page has no commands in the section ${section}`);
      return step;
    };
    let scrip: ProtectedService;
    let folder: string;
    let end: () => Promise<void>;
    beforeAll(async () => {
      ({ scrip, folder, end } = await prepare(language));
    });
    afterAll(() => end());

    test.each(steps.map((step, index) => ({ ...step, index })))(
      'step $index, $section, prints what the page says',
      async ({ script, output }) => {
        const ended = await run(script, folder, scrip.address);
        const exitCode = output?.includes('\nreason=') ? 1 : 0;
        expect(ended, ended.output).toMatchObject({ exitCode });
        if (output !== null) expect(ended.output).toBe(output);
      },
    );

    test('each charge is of the caller who made it, and none of one who was refused', async () => {
      expect(await chargesOf(scrip)).toEqual({
        'job-1': CALLERS.certificate,
        [TOKEN_JOB]: CALLERS.token,
      });
    });

    test('a request id is charged once', async () => {
      const { script, output } = stepIn('JWT');
      expect(await run(script, folder, scrip.address)).toEqual({ output, exitCode: 0 });
    });

    test('without a certificate no connection is opened where it is required', async () => {
      const step = steps.find(({ output }) => output?.includes('problem=NO_CREDENTIALS'));
      const { output, exitCode } = await run(step?.script ?? '', folder, scrip.strictAddress);
      expect(exitCode).toBe(1);
      expect(output).toMatch(/^UNAVAILABLE: /im);
      expect(output).not.toContain('reason=');
    });

    test('the token is read for each call', async () => {
      const pipe = await makePipe(join(folder, 'token'));
      const job = 'job-rotated';
      const script = stepIn('JWT').script.replace(TOKEN_JOB, job);
      const ended = run(script, folder, scrip.address);
      const rotated = (async () => {
        await pipe.write(await scrip.signToken());
        await charged(scrip, job);
        await pipe.write(unsigned());
      })();
      const early = ended.then(({ output }) => expect.fail(`it ended early: ${output}`));
      await Promise.race([rotated, early]).catch(async (error) => {
        await pipe.release();
        throw error;
      });
      const { output, exitCode } = await ended;
      expect(exitCode, output).toBe(1);
      expect(output).toContain('charged 2 credits');
      expect(output).toContain('problem=TOKEN_');
    });
  });
}
