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
import {
  CALLERS,
  type ProtectedService,
  SLOW_CALLER,
  startProtected,
} from './protected-service.ts';
import { expectedLines, networkOf } from './scenarios.ts';

const root = new URL('../..', import.meta.url).pathname;
/** The account of the pages, their address, and the request id of their section on tokens. */
const ACCOUNT = 'acme';
const ADDRESS = 'billing:50051';
const TOKEN_JOB = 'job-2';
/** Of the scenarios. */
const SCENARIOS_ACCOUNT = 'scenarios';
const credentialsOf = (caller: string): string =>
  `SCRIP_ADDRESS=${ADDRESS} SCRIP_CA_FILE=ca.pem SCRIP_CERT_FILE=${caller}.pem SCRIP_KEY_FILE=${caller}.key`;
const TEN_MINUTES_MS = 600_000;
/** What the pages call this repository, and what `npm run release` makes. */
const SOURCES = '~/scrip';
const RELEASE = '~/release';

type Ended = { readonly output: string; readonly exitCode: number };

/** The example and the protos, as they lie in the repository, without what builds have made. */
async function copySources(id: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-sources-'));
  await cp(join(root, 'proto/billing'), join(directory, 'proto/billing'), { recursive: true });
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', `examples/${id}`], {
    cwd: root,
    encoding: 'utf8',
  });
  for (const file of files.trim().split('\n')) await cp(join(root, file), join(directory, file));
  return directory;
}

/** An empty folder with the files of callers, and a service that has the accounts. */
async function prepare({ id }: Language) {
  const sources = await copySources(id);
  const folder = await mkdtemp(join(tmpdir(), 'scrip-clients-'));
  const scrip = await startProtected();
  await scrip.writeCredentials(folder);
  for (const accountId of [ACCOUNT, SCENARIOS_ACCOUNT])
    await scrip.accounts.openAccount({ accountId, requestId: 'open', planId: 'perfectparser' });
  return {
    scrip,
    folder,
    run: (script: string, address: string) =>
      runIn(folder, script.replaceAll(SOURCES, sources).replaceAll(ADDRESS, address)),
    async end() {
      await scrip.stop();
      for (const directory of [sources, folder]) await rm(directory, { recursive: true });
    },
  };
}

/** Runs commands of a page in a folder. */
function runIn(folder: string, script: string): Promise<Ended> {
  const commands = `exec 2>&1\n${script.replaceAll(RELEASE, join(root, 'release'))}`;
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
    const { section = null } = language;
    const steps = stepsOf(`${language.id}.md`).filter(
      (step) => section === null || step.section === section,
    );
    const stepWith = (text: string): Step => {
      const step = steps.find(({ script, output }) => `${script}${output}`.includes(text));
      if (!step) throw new Error(`the page has no commands with ${text}`);
      return step;
    };
    let scrip: ProtectedService;
    let folder: string;
    let run: (script: string, address: string) => Promise<Ended>;
    let end: () => Promise<void>;
    beforeAll(async () => {
      ({ scrip, folder, run, end } = await prepare(language));
    });
    afterAll(() => end());

    test.each(steps.map((step, index) => ({ ...step, index })))(
      'step $index, $section, prints what the page says',
      async ({ script, output }) => {
        const ended = await run(script, scrip.address);
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
      const { script, output } = stepWith(TOKEN_JOB);
      expect(await run(script, scrip.address)).toEqual({ output, exitCode: 0 });
    });

    test('without a certificate no connection is opened where it is required', async () => {
      const { script } = stepWith('problem=NO_CREDENTIALS');
      const { output, exitCode } = await run(script, scrip.strictAddress);
      expect(exitCode).toBe(1);
      // The client of TypeScript repeats the call until its deadline, and may say that it passed.
      expect(output).toMatch(/^(UNAVAILABLE: |DEADLINE_EXCEEDED: .*\nreason=DEADLINE_EXCEEDED)/im);
      expect(output).not.toContain('problem=');
    });

    test('a call that is too early is repeated once, when the service says', async () => {
      const script = `${credentialsOf('slow')} ${language.scenarios} ${ACCOUNT} replay`;
      const ended = await run(script, scrip.address);
      const [line] = /^replay: .*\n/m.exec(expectedLines()) ?? [];
      expect(ended).toEqual({ output: line, exitCode: 0 });
      const { refusals } = await scrip.operator.listRefusals({ caller: SLOW_CALLER });
      const early = refusals.filter(({ reason }) => reason === 'RATE_LIMITED');
      // The scenario makes three calls.
      expect(early.length).toBeLessThanOrEqual(2);
    });

    test('the token is read for each call', async () => {
      const pipe = await makePipe(join(folder, 'token'));
      const job = 'job-rotated';
      const script = stepWith(TOKEN_JOB).script.replace(TOKEN_JOB, job);
      const ended = run(script, scrip.address);
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

    test('each scenario ends as in every language, though the clocks differ and answers are lost', async () => {
      await rm(join(folder, 'token'));
      await scrip.writeCredentials(folder);
      scrip.advance(TEN_MINUTES_MS);
      const network = networkOf(scrip, SCENARIOS_ACCOUNT);
      const script = `${credentialsOf('renderer')} SCRIP_TOKEN_FILE=token ${language.scenarios} ${SCENARIOS_ACCOUNT}`;
      await network.open();
      const address = network.address.replace('127.0.0.1', 'localhost');
      const ended = await run(script, address).finally(() => network.close());
      expect(ended).toEqual({ output: expectedLines(), exitCode: 0 });
      expect(network.left).toEqual([]);
      const { balance } = await scrip.billing.getBalance({ accountId: SCENARIOS_ACCOUNT });
      expect(balance).toMatchObject({ available: 4n, reserved: 0n });
    });
  });
}
