/** A small simulated year has no mismatch with its usage log, and the checks find changes of the log. */
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import { htmlOf } from '../charts/page.ts';
import { createDatabase, execute } from '../postgres.ts';
import { DAY_MS, dayOf, monthOf } from './calendar.ts';
import { check, replay } from './check.ts';
import { balances, pageOf } from './page.ts';
import { type SimulatedYear, STARTS_AT, simulateYear } from './simulate.ts';
import { type SimulatedService, startSimulatedService } from './simulated-service.ts';
import type { LogEntry, LoggedRequest } from './usage-log.ts';

let simulated: SimulatedService;
let year: SimulatedYear;

beforeAll(async () => {
  simulated = await startSimulatedService(STARTS_AT, await createDatabase(inject('postgresUrl')));
  year = await simulateYear(simulated, { accounts: 30, seed: 1 }, () => {});
}, 600_000);

afterAll(() => simulated.close());

type Of<Kind extends LoggedRequest['kind']> = LogEntry & {
  readonly request: LoggedRequest & { readonly kind: Kind };
};

const isA = <Kind extends LoggedRequest['kind']>(entry: LogEntry, kind: Kind): entry is Of<Kind> =>
  entry.request.kind === kind && entry.response.refused === '';

/** The first log entry of a kind that fits. */
function find<Kind extends LoggedRequest['kind']>(kind: Kind, fits: (entry: Of<Kind>) => boolean) {
  const found = year.log.find((entry): entry is Of<Kind> => isA(entry, kind) && fits(entry));
  if (!found) throw new Error(`the year has no ${kind} like that`);
  return found;
}

const ofAccount = (accountId: string): readonly LogEntry[] =>
  year.log.filter((entry) => entry.accountId === accountId);

/** Checks one account against a log in which `wrong` replaces `right`. */
const checkWith = (right: LogEntry, wrong: readonly LogEntry[]) =>
  check(simulated.scrip, {
    ...year,
    log: ofAccount(right.accountId).flatMap((entry) => (entry === right ? wrong : [entry])),
  });

test('a year has no mismatch: allowances, packs, statements and every response', async () => {
  const { accounts, history, statements } = await check(simulated.scrip, year);
  expect(accounts).toBe(30);
  expect(statements.postpaidAccounts).toBe(9);
  expect(statements.statements).toBe(9 * 12);
  expect(history.allowances).toBe(9 * 12);
  expect([...statements.tiers.keys()].sort()).toEqual([1, 2, 3]);
  for (const many of [statements.withAdjustments, history.packsExpired, history.lateCommits])
    expect(many).toBeGreaterThan(0);
  expect(history.lateUsage).toBeGreaterThan(history.lateUsageOfMonthBefore);
  expect(history.lateUsageOfMonthBefore).toBeGreaterThan(0);
  expect(history.returned).toBeGreaterThan(0n);
  const result = await verify(simulated.databaseUrl);
  expect(result).toEqual({ ok: true, accounts: 30, entries: history.entries });
});

test('the flows of credits by plan and month add up to what the service has', async () => {
  const { history, statements } = await check(simulated.scrip, year);
  const { flows } = history;
  expect(flows.plans).toEqual(['aspose-cloud', 'perfectparser', 'verts']);
  const all = flows.plans.flatMap((plan) => flows.months.map((month) => flows.of(plan, month)));
  const sum = (of: (flow: (typeof all)[number]) => bigint) =>
    all.reduce((total, flow) => total + of(flow), 0n);
  expect(sum(({ entries }) => BigInt(entries))).toBe(BigInt(history.entries));
  expect(sum(({ moved }) => moved)).toBe(0n);
  const { breakageOfPacks, breakageOfAllowances, breakageOfRefunds } = history;
  const breakage = breakageOfPacks + breakageOfAllowances + breakageOfRefunds;
  expect(sum(({ expired }) => expired)).toBe(breakage - history.returned);
  const left = sum(
    ({ granted, bought, spent, expired, voided }) => granted + bought - spent - expired - voided,
  );
  const remaining = await execute(
    simulated.databaseUrl,
    `select a.plan_id, sum(g.remaining)::bigint as remaining
     from accounts a join grants g using (account_id) group by plan_id order by plan_id`,
  );
  expect(remaining.reduce((total, row) => total + BigInt(`${row['remaining']}`), 0n)).toBe(left);
  // Of each plan, with what moved accounts brought and took.
  const last = balances(flows).rows.at(-1)?.figures;
  expect(last).toEqual(remaining.map((row) => Number(row['remaining'])));

  const months = [...statements.months.values()];
  expect(months.reduce((total, { billed }) => total + billed, 0n)).toBe(statements.billed);
  expect(months.reduce((total, { overage }) => total + overage, 0n)).toBe(statements.overage);
  expect(year.months.reduce((total, { requests }) => total + requests, 0)).toBe(year.log.length);
});

test('the page of a year has a chart of each plan', async () => {
  const summary = await check(simulated.scrip, year);
  const verified = { ok: true as const, accounts: 30, entries: summary.history.entries };
  const options = { accounts: 30, seed: 1 };
  const page = pageOf({ options, seconds: 1, year, summary, verified });
  const titles = page.sections.map(({ charts }) => charts.map(({ title }) => title));
  expect(titles).toEqual([
    [
      'Balances at the end of each month',
      'aspose-cloud: credits issued, spent and expired each month',
      'perfectparser: credits issued, spent and expired each month',
      'verts: credits issued, spent and expired each month',
    ],
    ['Overage of each month', 'Billed for each month, in USD', 'Statements of each month'],
    ['Requests of each month', 'Entries of each month'],
    [
      'Requests in a second, by simulated month',
      'Memory at the end of each simulated month, in MB',
    ],
  ]);
  expect(htmlOf(page).match(/<figure>/g)).toHaveLength(titles.flat().length);
});

test('a charge of one more output in the log is found in the month’s statement', async () => {
  // The last charge of its month, all overage, never refunded: no later response would show it.
  const last = find('charge', ({ accountId, at, response, request }) => {
    const all = ofAccount(accountId);
    const next = all.find((other) => other.at > at);
    return (
      (response.balance?.overage ?? 0n) > 0n &&
      request.usages.at(-1)?.count !== 1n &&
      !all.some((other) => isA(other, 'refund') && other.request.seq === response.seq) &&
      (!next || monthOf(next.at) > monthOf(at))
    );
  });
  const { request, response, at } = last;
  const usages = request.usages.map((usage, index) =>
    index === request.usages.length - 1 ? { ...usage, count: usage.count + 1n } : usage,
  );
  const balance = response.balance && {
    ...response.balance,
    overage: response.balance.overage + 1n,
  };
  const wrong = {
    ...last,
    request: { ...request, usages },
    response: { ...response, credits: response.credits + 1n, balance },
  };
  await expect(checkWith(last, [wrong])).rejects.toThrow(
    new RegExp(`: count of \\S+ of ${monthOf(at)} is \\d+, the usage log says \\d+$`),
  );
});

test('a pack bought a day later in the log is found by the day of its expiry', async () => {
  const bought = find('purchase', ({ accountId, at, response }) => {
    // A year from 28 and from 29 February 2028 ends on the same day.
    if (dayOf(at) === '2028-02-28') return false;
    // Its operator says when it ends.
    const isExtended = ofAccount(accountId).some(
      ({ request }) => request.kind === 'extend grant' && request.grantId === response.grantId,
    );
    if (isExtended) return false;
    const { grants } = replay(ofAccount(accountId), year.plans, year.until);
    return grants.some(({ name, breakage }) => name === `${response.grantId}` && breakage.size > 0);
  });
  const wrong = { ...bought, at: bought.at + DAY_MS };
  await expect(checkWith(bought, [wrong])).rejects.toThrow(
    /: breakage of the pack of grant \d+, which ends on \S+, is \d+ on \S+, the usage log says \d+ on \S+$/,
  );
});

test('an account opened a month earlier in the log is found by its allowances', async () => {
  const opened = find('open', ({ request }) => request.planId === 'aspose-cloud');
  const wrong = { ...opened, at: opened.at - 31 * DAY_MS };
  await expect(checkWith(opened, [wrong])).rejects.toThrow(
    /: the months of its allowances is .*, the usage log says /,
  );
});

test('late usage that the log puts into the month of its report is found', async () => {
  const late = find(
    'charge',
    ({ at, request: { usedAt } }) => usedAt !== undefined && monthOf(usedAt) !== monthOf(at),
  );
  const wrong = { ...late, request: { ...late.request, usedAt: late.at } };
  await expect(checkWith(late, [wrong])).rejects.toThrow(
    /(available|overage) is \d+, must be|late usage returned of |operations of |count of /,
  );
});

test('a response with other credits is reported with its time', async () => {
  const reserved = find('reserve', () => true);
  const response = { ...reserved.response, credits: reserved.response.credits + 1n };
  await expect(checkWith(reserved, [{ ...reserved, response }])).rejects.toThrow(
    /: reserve at \S+: credits is \d+, must be \d+$/,
  );
});

test('a commit that is missing in the log is found by the balance', async () => {
  const committed = find(
    'commit',
    ({ request, response }) => request.final && response.credits > 0n,
  );
  await expect(checkWith(committed, [])).rejects.toThrow(/available is \d+, |breakage of /);
});

test('a statement that was changed in the database is found', async () => {
  const [row] = await execute(
    simulated.databaseUrl,
    `update statements set total = total + 0.01 where (account_id, month) in
       (select account_id, month from statements where overage > 0 limit 1) returning account_id`,
  );
  const log = ofAccount(String(row?.['account_id']));
  await expect(check(simulated.scrip, { ...year, log })).rejects.toThrow(
    /: the total of \S+ is \d+\.\d\d, the usage log says \d+\.\d\d$/,
  );
  expect(await verify(simulated.databaseUrl)).toMatchObject({ ok: false });
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

test('the command needs no database, prints ok, and removes its files', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-year-test-'));
  await chmod(directory, 0o755);
  const page = `${directory}-page/year.html`;
  // One account that opens early: its contract and the run end with the year.
  const ran = await run(directory, '--accounts', '1', '--seed', '5', '--page', page);
  expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
  expect(ran.lines.at(-3)).toMatch(/^verify: ok \(1 account, \d+ entries\)$/);
  expect(ran.lines.at(-2)).toMatch(/^year: ok \(\d+ s\)$/);
  expect(ran.lines.at(-1)).toBe(`charts: ${relative('', page)}`);
  expect(await readFile(page, 'utf8')).toMatch('<h1>Scrip: a simulated year</h1>');
  expect(await readdir(directory)).toEqual([]);
  const wrong = await run(directory, '--accounts', 'some');
  expect(wrong).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/^year: --accounts /) });
  await rm(directory, { recursive: true });
  await rm(dirname(page), { recursive: true });
}, 600_000);
