/** A small year agrees with its usage log; and the check tells what would not. */
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import { createDatabase, execute } from '../postgres.ts';
import { DAY_MS, dayOf, monthOf } from './calendar.ts';
import { check, replay } from './check.ts';
import type { Logged, UsagesOrCredits } from './log.ts';
import { type Played, play, STARTS_AT } from './play.ts';
import { type Stage, setStage } from './stage.ts';

let stage: Stage;
let played: Played;

beforeAll(async () => {
  stage = await setStage(STARTS_AT, await createDatabase(inject('postgresUrl')));
  played = await play(stage, { accounts: 30, seed: 1 }, () => {});
}, 120_000);

afterAll(() => stage.close());

type Of<Kind extends UsagesOrCredits['kind']> = Logged & {
  readonly asked: UsagesOrCredits & { readonly kind: Kind };
};

const isA = <Kind extends UsagesOrCredits['kind']>(
  logged: Logged,
  kind: Kind,
): logged is Of<Kind> => logged.asked.kind === kind && logged.answer.refused === '';

/** The first of a kind that a search finds. */
function find<Kind extends UsagesOrCredits['kind']>(
  kind: Kind,
  fits: (logged: Of<Kind>) => boolean,
) {
  const found = played.log.find((logged): logged is Of<Kind> => isA(logged, kind) && fits(logged));
  if (!found) throw new Error(`the year has no ${kind} like that`);
  return found;
}

const ofAccount = (accountId: string): readonly Logged[] =>
  played.log.filter((logged) => logged.accountId === accountId);

/** Checks one account by a log in which `wrong` stands in place of `right`. */
const checkWith = (right: Logged, wrong: readonly Logged[]) =>
  check(stage.scrip, {
    ...played,
    log: ofAccount(right.accountId).flatMap((logged) => (logged === right ? wrong : [logged])),
  });

test('a year agrees with its usage log: allowances, packs, statements and every answer', async () => {
  const { accounts, history, statements } = await check(stage.scrip, played);
  expect(accounts).toBe(30);
  expect(statements.postpaidAccounts).toBe(9);
  expect(statements.statements).toBe(9 * 12);
  expect(history.allowances).toBe(9 * 12);
  expect([...statements.tiers.keys()].sort()).toEqual([1, 2, 3]);
  for (const many of [statements.withAdjustments, history.packsExpired, history.lateCommits])
    expect(many).toBeGreaterThan(0);
  const result = await verify(stage.databaseUrl);
  expect(result).toEqual({ ok: true, accounts: 30, entries: history.entries });
});

test('an output more than was charged shows on its month’s statement', async () => {
  // The last of its month, all of it overage, and never refunded: no later answer gives it away.
  const last = find('charge', ({ accountId, at, answer, asked }) => {
    const all = ofAccount(accountId);
    const next = all.find((other) => other.at > at);
    return (
      (answer.balance?.overage ?? 0n) > 0n &&
      asked.usages.at(-1)?.count !== 1n &&
      !all.some((other) => isA(other, 'refund') && other.asked.seq === answer.seq) &&
      (!next || monthOf(next.at) > monthOf(at))
    );
  });
  const { asked, answer, at } = last;
  const usages = asked.usages.map((usage, index) =>
    index === asked.usages.length - 1 ? { ...usage, count: usage.count + 1n } : usage,
  );
  const balance = answer.balance && { ...answer.balance, overage: answer.balance.overage + 1n };
  const wrong = {
    ...last,
    asked: { ...asked, usages },
    answer: { ...answer, credits: answer.credits + 1n, balance },
  };
  await expect(checkWith(last, [wrong])).rejects.toThrow(
    new RegExp(`: count of \\S+ of ${monthOf(at)} is \\d+, the usage log says \\d+$`),
  );
});

test('a pack that was bought a day later would have to expire a day later', async () => {
  const bought = find('purchase', ({ accountId, at, answer }) => {
    // From the leap day, as from the day before it, a year ends on 28 February.
    if (dayOf(at) === '2028-02-28') return false;
    const { lots } = replay(ofAccount(accountId), played.plans, played.until);
    return lots.some(({ name, lost }) => name === `${answer.grantId}` && lost.size > 0);
  });
  const wrong = { ...bought, at: bought.at + DAY_MS };
  await expect(checkWith(bought, [wrong])).rejects.toThrow(
    /: breakage of the pack of grant \d+, which ends on \S+, is \d+ on \S+, the usage log says \d+ on \S+$/,
  );
});

test('an account that was opened a month earlier would have an allowance more', async () => {
  const opened = find('open', ({ asked }) => asked.planId === 'aspose-cloud');
  const wrong = { ...opened, at: opened.at - 31 * DAY_MS };
  await expect(checkWith(opened, [wrong])).rejects.toThrow(
    /: the months of its allowances is .*, the usage log says /,
  );
});

test('an answer other than the log’s arithmetic is told with its moment', async () => {
  const reserved = find('reserve', () => true);
  const answer = { ...reserved.answer, credits: reserved.answer.credits + 1n };
  await expect(checkWith(reserved, [{ ...reserved, answer }])).rejects.toThrow(
    /: reserve at \S+: credits is \d+, must be \d+$/,
  );
});

test('a commit that nobody logged leaves credits that are not there', async () => {
  const committed = find('commit', ({ asked, answer }) => asked.final && answer.credits > 0n);
  await expect(checkWith(committed, [])).rejects.toThrow(/available is \d+, |breakage of /);
});

test('a statement that is changed afterwards does not pass', async () => {
  const [row] = await execute(
    stage.databaseUrl,
    `update statements set total = total + 0.01 where (account_id, month) in
       (select account_id, month from statements where overage > 0 limit 1) returning account_id`,
  );
  const log = ofAccount(String(row?.['account_id']));
  await expect(check(stage.scrip, { ...played, log })).rejects.toThrow(
    /: the total of \S+ is \d+\.\d\d, the usage log says \d+\.\d\d$/,
  );
  expect(await verify(stage.databaseUrl)).toMatchObject({ ok: false });
});

type Ran = {
  readonly exitCode: number;
  readonly lines: readonly string[];
  readonly stderr: string;
};

const run = (directory: string, ...args: string[]): Promise<Ran> =>
  new Promise((resolve) => {
    const main = new URL('main.ts', import.meta.url).pathname;
    const env = { PATH: process.env['PATH'], TMPDIR: directory };
    const child = execFile(process.execPath, [main, ...args], { env }, (_error, stdout, stderr) =>
      resolve({ exitCode: child.exitCode ?? -1, lines: stdout.trim().split('\n'), stderr }),
    );
  });

test('as a command it needs no database, ends in ok, and leaves nothing behind', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-year-test-'));
  await chmod(directory, 0o755);
  // One account, opened early: its contract, and with it the run, ends with the year.
  const ran = await run(directory, '--accounts', '1', '--seed', '5');
  expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
  expect(ran.lines.at(-2)).toMatch(/^verify: ok \(1 account, \d+ entries\)$/);
  expect(ran.lines.at(-1)).toMatch(/^year: ok \(\d+ s\)$/);
  expect(await readdir(directory)).toEqual([]);
  const wrong = await run(directory, '--accounts', 'some');
  expect(wrong).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/^year: --accounts /) });
  await rm(directory, { recursive: true });
}, 120_000);
