/** The commands that ask a running service: `trace`, `reservations`, `refusals`, `history`, `balance`. */
import '../../src/telemetry/sdk.ts';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defined, INSPECT, openWithCredits } from '../accounts.ts';
import { type PolicedService, startPoliced } from '../authorization/policed-service.ts';
import { named, newTrace, type Trace } from '../operator/traced.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { MAIN, runScrip } from './run-scrip.ts';

let scrip: PolicedService;
/** Another replica on the same database. */
let twin: TestService;
let accountId: string;
let reservationId: string;
let trace: Trace;
const frozenAt = Date.UTC(2031, 0, 15, 10);
const reserveId = requestId();
const reference = `job-${requestId()}`;

beforeAll(async () => {
  scrip = await startPoliced('', {
    frozenAt,
    env: { TRACE_URL_TEMPLATE: 'https://traces.test/{trace_id}' },
  });
  twin = await startTestService({ databaseUrl: scrip.databaseUrl, frozenAt });
  accountId = await openWithCredits(scrip, 100n);
  trace = newTrace();
  const usages = { items: [{ ...INSPECT, count: 3n }] };
  const { reservation } = await scrip.billing.reserve(
    { accountId, requestId: reserveId, usages, reference },
    trace,
  );
  ({ reservationId } = defined(reservation));
  const part = { ...named(accountId), reservationId, final: false };
  await scrip.billing.commit({ ...part, usages: { items: [INSPECT] } }, trace);
  await scrip.billing.charge({ ...named(accountId), credits: 5n, reference });
});
afterAll(async () => {
  await twin.stop();
  await scrip.stop();
});

const env = (caller = 'test') => ({
  SCRIP_ADDRESS: `127.0.0.1:${scrip.service.port}`,
  args: ['--caller', caller],
});

const run = (...args: string[]) => {
  const { args: more, ...variables } = env();
  return runScrip([...args, ...more], variables);
};

describe('trace', () => {
  test('shows the path with its prices and grants, and why it is not complete', async () => {
    const { stdout, ...ran } = await run('trace', trace.traceId);
    expect(ran).toEqual({ exitCode: 0, stderr: '' });
    const at = '2031-01-15T10:00:00.000Z';
    const url = `https://traces.test/${trace.traceId}`;
    const requests = /COMMIT in part .* (\S+) {2}https/.exec(stdout);
    expect(stdout.replaceAll(/ +/g, ' ')).toBe(`found as trace

reservation ${reservationId} of account ${accountId}
plan verts, rate card version 1
running until 2031-01-15T10:15:00.000Z

 seq at step credits grants remaining reserved by request trace
> 3 ${at} RESERVE until 2031-01-15T10:15:00.000Z 3 1: 3 100 3 test ${reserveId} ${url}
> 4 ${at} COMMIT in part 1 1: 1 99 2 test ${requests?.[1]} ${url}

seq operation count each credits
 3 file.inspect 3 1 3
 4 file.inspect 1 1 1

grant remaining reserved of category from expires
 1 94 2 100 PAID OPERATOR never
`);
  });

  test('finds what an id is by asking for each kind, and writes JSON', async () => {
    const { stdout, ...ran } = await run('trace', reserveId.toUpperCase(), '--json');
    expect(ran).toMatchObject({ exitCode: 1 });
    expect(stdout).toBe('');
    const found = await run('trace', reserveId, '--json');
    expect(found).toMatchObject({ exitCode: 0, stderr: '' });
    expect(JSON.parse(found.stdout)).toMatchObject({
      foundAs: ['request'],
      paths: [
        {
          key: { accountId, charge: { reservationId } },
          steps: [{ found: true, entry: { seq: '3', kind: 'KIND_RESERVE' } }, { found: false }],
        },
      ],
      candidates: [],
    });
  });

  test('lists the charges that have an id, picks none, and says how to go on', async () => {
    const { exitCode, stdout } = await run('trace', reference);
    expect(exitCode).toBe(5);
    expect(stdout).toContain('several charges have it; trace one of them:');
    expect(stdout).toMatch(new RegExp(`${accountId} +${reservationId} .*RESERVE`));
    expect(stdout).toMatch(new RegExp(`${accountId} +${accountId}/5 .*CHARGE`));
    const one = await run('trace', `${accountId}/5`);
    expect(one).toMatchObject({ exitCode: 0, stderr: '' });
    expect(one.stdout).toContain('has ended; complete');
  });

  test('says that there is none, and where else to look', async () => {
    const { stderr, ...ran } = await run('trace', 'nobody');
    expect(ran).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toBe(
      'scrip: no charge has nobody as request, reference; a call that was refused left none: refusals --id finds it\n',
    );
  });
});

describe('Exit codes', () => {
  test('2: wrong usage, with the usage', async () => {
    const wrong = await run('trace');
    expect(wrong).toMatchObject({ exitCode: 2, stdout: '' });
    expect(wrong.stderr).toBe(
      "scrip: missing required argument 'id'; usage: scrip trace <id> [options]\n",
    );
    const option = await run('reservations', '--older-than', 'long');
    expect(option).toMatchObject({ exitCode: 2, stdout: '' });
    expect(option.stderr).toContain('It must be such as 90s, 15m, 2h or 3d; usage:');
    for (const command of ['reservations', 'refusals', 'trace'])
      expect(
        await run(command, ...(command === 'trace' ? ['x'] : []), '--limit', '0'),
      ).toMatchObject({
        exitCode: 2,
        stdout: '',
      });
  });

  test('3: no service answers, and what to do', async () => {
    const ran = await runScrip(['balance', 'acme', '--address', '127.0.0.1:1'], {});
    expect(ran).toMatchObject({ exitCode: 3, stdout: '' });
    expect(ran.stderr).toMatch(/^scrip: no service answers on 127\.0\.0\.1:1 .*npm start.*\n$/);
  });

  test('4: the service refuses the call, and who may say why', async () => {
    const args = ['reservations', '--caller', 'stranger'];
    const ran = await runScrip(args, { SCRIP_ADDRESS: env().SCRIP_ADDRESS });
    expect(ran).toMatchObject({ exitCode: 4, stdout: '' });
    expect(ran.stderr).toContain('no rule of the policy applies to stranger; policy explain says');
  });

  test('1: there is no such account', async () => {
    const ran = await run('balance', 'nobody');
    expect(ran).toMatchObject({ exitCode: 1, stdout: '' });
    expect(ran.stderr).toMatch(/^scrip: .*nobody/);
  });
});

test('that nobody reads what is said beside the output does not change the exit code', async () => {
  const poor = await openWithCredits(scrip, 1n);
  await errorOf(scrip.billing.charge({ ...named(poor), credits: 1_000n }));
  const { args, ...variables } = env();
  const child = spawn(process.execPath, [MAIN, 'refusals', '--account', poor, ...args], {
    env: { PATH: process.env['PATH'], ...variables },
  });
  child.stderr.destroy();
  child.stdout.resume();
  expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(0);
});

test('reservations lists those that match, and nothing with exit code 1', async () => {
  const found = await run('reservations', '--expiring-within', '20m');
  expect(found).toMatchObject({ exitCode: 0, stderr: '' });
  expect(found.stdout.replaceAll(/ +/g, ' ')).toBe(
    `age account reservation state held of expires by reference
 0s ${accountId} ${reservationId} ACTIVE 2 3 2031-01-15T10:15:00.000Z test ${reference}
`,
  );
  expect(await run('reservations', '--stuck')).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: 'no reservation matches\n',
  });
});

test('refusals asks every replica, and says which it could not ask', async () => {
  const call = () => ({ ...named(accountId), credits: 1_000n });
  await errorOf(scrip.billing.charge(call()));
  await errorOf(twin.billing.charge(call()));
  const both = `127.0.0.1:${scrip.service.port},127.0.0.1:${twin.service.port}`;
  const of = ['refusals', '--account', accountId, '--reason', 'INSUFFICIENT_CREDITS', '--address'];
  const found = await run(...of, both, '--json');
  expect(found.exitCode).toBe(0);
  const { replicas } = JSON.parse(found.stdout);
  expect(replicas.map((one: { refusals: unknown[] }) => one.refusals.length)).toEqual([1, 1]);
  expect(new Set(replicas.map((one: { of: { replicaId: string } }) => one.of.replicaId)).size).toBe(
    2,
  );
  const partly = await run(...of, `${both},127.0.0.1:1`);
  expect(partly.exitCode).toBe(3);
  expect(partly.stdout.trim().split('\n')).toHaveLength(3);
  expect(partly.stdout).toMatch(/INSUFFICIENT_CREDITS +BillingService\/Charge/);
  expect(partly.stderr).toMatch(/127\.0\.0\.1:1: not asked/);
  expect(partly.stderr).toContain('scrip: not every replica has answered');
});

test('refusals shows the reservation, and finds a call by its trace, its request and its reservation', async () => {
  const own = newTrace();
  const call = { ...named(accountId), reservationId, credits: 1_000n };
  await errorOf(scrip.billing.commit(call, own));
  const shown = await run('refusals', '--reason', 'EXCEEDS_RESERVATION');
  expect(shown.stdout).toMatch(
    new RegExp(` ${reservationId} +${call.requestId} +https://traces.test/${own.traceId} `),
  );
  const traceparent = `00-${own.traceId}-00f067aa0ba902b7-01`;
  for (const id of [own.traceId, traceparent, call.requestId, reservationId]) {
    const found = await run('refusals', '--id', id, '--json');
    expect(found.exitCode).toBe(0);
    expect(JSON.parse(found.stdout).replicas[0].refusals).toMatchObject([
      { reason: 'EXCEEDS_RESERVATION', requestId: call.requestId, traceId: own.traceId },
    ]);
  }
  expect(await run('refusals', '--id', requestId())).toMatchObject({ exitCode: 1, stdout: '' });
});

test('text of callers moves no cursor, and is one line', async () => {
  const hostile = '\u001b[2Jx\ny\u009b31m\u202e';
  await errorOf(scrip.billing.charge({ ...named(hostile), credits: 1n }));
  const args = ['refusals', '--reason', 'INVALID_FIELD', '--limit', '1'];
  const { stdout } = await run(...args);
  expect(stdout.trim().split('\n')).toHaveLength(2);
  expect(stdout).toContain(' \\u{1b}[2Jx\\u{a}y\\u{9b}31m\\u{202e} ');
  const json = await run(...args, '--json');
  expect(json.stdout).toMatch(/^(?:[^\p{Cc}\p{Cf}]|\n)*$/u);
  expect(JSON.parse(json.stdout).replicas[0].refusals[0].accountId).toBe(hostile);
});

test('of several addresses the next is asked where one does not answer', async () => {
  const address = `127.0.0.1:1,127.0.0.1:${scrip.service.port}`;
  const found = await run('balance', accountId, '--address', address);
  expect(found).toMatchObject({ exitCode: 0, stderr: '' });
  const nobody = await run('balance', accountId, '--address', '127.0.0.1:1,127.0.0.1:2');
  expect(nobody).toMatchObject({ exitCode: 3, stdout: '' });
});

test('all replicas are asked at once: one that does not answer delays no other', async () => {
  const silent = [createServer(), createServer()];
  const connected = silent.map(async (server) => {
    const [socket] = (await once(server, 'connection')) as [Socket];
    return socket.on('error', () => {});
  });
  for (const server of silent) await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = silent.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`);
  const child = spawn(process.execPath, [MAIN, 'refusals', '--address', address.join(' , ')], {
    env: { PATH: process.env['PATH'] },
  });
  const sockets = await Promise.all(connected);
  // The command still waits for the first when it has come to the second.
  expect(sockets.map(({ readyState }) => readyState)).toEqual(['open', 'open']);
  const ended = once(child, 'exit');
  child.kill();
  await ended;
  for (const socket of sockets) socket.destroy();
  for (const server of silent) server.close();
});

test('what answers and does not know the call is not taken for a service that does not answer', async () => {
  const server = new Server();
  const port = await new Promise<number>((resolve, reject) => {
    const bound = (error: Error | null, of: number) => (error ? reject(error) : resolve(of));
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), bound);
  });
  const { exitCode, stderr } = await run('balance', 'acme', '--address', `127.0.0.1:${port},`);
  server.forceShutdown();
  expect(exitCode).toBe(4);
  expect(stderr).toMatch(/does not serve the call: .* \(UNIMPLEMENTED\)/);
});

test('balance shows the amounts, and the grants in burn order', async () => {
  const { exitCode, stdout } = await run('balance', accountId);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^available {2}92\nreserved {3}2\nremaining {2}94\n/);
  expect(stdout.replaceAll(/ +/g, ' ')).toContain('\n 1 94 2 100 PAID OPERATOR never\n');
  const json = await run('balance', accountId, '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({ balance: { available: '92' } });
});

describe('history', () => {
  test.each([[[]], [['--newest']]])('ends with 1 where no entry matches %j', async (newest) => {
    const ended = await run('history', accountId, '--reference', 'nothing', ...newest);
    expect(ended).toMatchObject({ exitCode: 1, stderr: 'no entry matches\n' });
  });

  test('lists the newest entries', async () => {
    const { exitCode, stdout } = await run('history', accountId, '--last', '2');
    expect(exitCode).toBe(0);
    expect(stdout.replaceAll(/ +/g, ' ').split('\n')).toEqual([
      ' seq at kind credits remaining reserved by',
      ` 4 2031-01-15T10:00:00.000Z COMMIT 1 99 2 test ${reference}`,
      ` 5 2031-01-15T10:00:00.000Z CHARGE 5 94 2 test ${reference}`,
      '',
    ]);
  });

  test('with --follow goes on at the next address', async () => {
    const followed = await openWithCredits(twin, 10n);
    const stopping = await startTestService({ databaseUrl: scrip.databaseUrl, frozenAt });
    const { args } = env();
    const child = spawn(
      process.execPath,
      [MAIN, 'history', followed, '--follow', '--json', ...args],
      {
        env: {
          PATH: process.env['PATH'],
          SCRIP_ADDRESS: [stopping, twin].map(({ service }) => `127.0.0.1:${service.port}`).join(),
        },
      },
    );
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const nextSeq = async () => JSON.parse((await lines.next()).value ?? 'null')?.seq;
    expect([await nextSeq(), await nextSeq()]).toEqual(['1', '2']);
    await stopping.stop();
    await twin.billing.charge({ ...named(followed), credits: 1n });
    expect(await nextSeq()).toBe('3');
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill();
    await ended;
  });

  test('with --follow goes on until nobody answers', async () => {
    const followed = await openWithCredits(twin, 10n);
    const stopping = await startTestService({ databaseUrl: scrip.databaseUrl, frozenAt });
    const { args } = env();
    const child = spawn(
      process.execPath,
      [MAIN, 'history', followed, '--follow', '--json', ...args],
      {
        env: { PATH: process.env['PATH'], SCRIP_ADDRESS: `127.0.0.1:${stopping.service.port}` },
      },
    );
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const nextSeq = async () => JSON.parse((await lines.next()).value ?? 'null')?.seq;
    expect([await nextSeq(), await nextSeq()]).toEqual(['1', '2']);
    await twin.billing.charge({ ...named(followed), credits: 1n });
    expect(await nextSeq()).toBe('3');
    await stopping.stop();
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    child.stderr.resume();
    // Nothing listens on that address any more.
    expect(await ended).toBe(3);
  });
});
