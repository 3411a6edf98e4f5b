/** The admin port over HTTP: its paths, its limits, and where it listens. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAdminServer } from '../../src/admin/admin-server.ts';
import { startTestService, type TestService } from '../service.ts';
import { parseMetrics, sumOf } from '../telemetry/prometheus-text.ts';
import { HostClocks } from '../time-sources.ts';

const silent = pino({ level: 'silent' });

let scrip: TestService;
const url = (path: string) => `http://127.0.0.1:${scrip.service.adminPort}${path}`;

beforeAll(async () => {
  scrip = await startTestService({ env: { ADMIN_PORT: '0' } });
});
afterAll(() => scrip.stop());

describe('it answers', () => {
  test('GET /metrics in Prometheus text format', async () => {
    const response = await fetch(url('/metrics'));
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const names = parseMetrics(await response.text()).map(({ name }) => name);
    expect(names).toContain('db_client_connection_max');
  });

  test.each([
    ['GET', '/livez', 200],
    ['GET', '/readyz', 200],
    ['GET', '/readyz?verbose', 200],
    ['HEAD', '/readyz', 200],
    ['POST', '/metrics', 405],
    ['DELETE', '/livez', 405],
    ['GET', '/metrics/', 404],
    ['GET', '/../metrics', 200],
    ['GET', '//metrics', 404],
    ['POST', '/debug', 404],
  ])('%s %s with %i', async (method, path, status) => {
    expect((await fetch(url(path), { method })).status).toBe(status);
  });

  test('probes with 503 while the replica is not ready', async () => {
    const database = { time: Date.now() + 60_000 };
    const host = new HostClocks(database);
    const other = await startTestService({ env: { ADMIN_PORT: '0' }, sources: host.sources });
    const statusOf = async (path: string) =>
      (await fetch(`http://127.0.0.1:${other.service.adminPort}${path}`)).status;
    expect(await statusOf('/readyz')).toBe(200);
    host.wall += 3_600_000;
    await other.service.compareClocks();
    expect(await statusOf('/readyz')).toBe(503);
    expect(await statusOf('/livez')).toBe(200);
    const metrics = parseMetrics(
      await (await fetch(`http://127.0.0.1:${other.service.adminPort}/metrics`)).text(),
    );
    expect(sumOf(metrics, 'scrip_clock_offset_seconds')).toBe(3_600);
    await other.stop();
  });
});

describe('it limits', () => {
  test('bodies: none is read, and the connection ends', async () => {
    const socket = connect(scrip.service.adminPort ?? 0, '127.0.0.1');
    let answer = '';
    socket.on('data', (data) => {
      answer += data;
    });
    socket.write('GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nbegins');
    await once(socket, 'close');
    expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n(.*\r\n)*connection: close/i);
  });

  test('headers', async () => {
    const response = await fetch(url('/livez'), { headers: { x: 'x'.repeat(20_000) } });
    expect(response.status).toBe(431);
  });

  test('the time of a client that sends slowly, and serves others meanwhile', async () => {
    const socket = connect(scrip.service.adminPort ?? 0, '127.0.0.1');
    socket.on('error', () => {});
    const closed = once(socket, 'close');
    socket.write('GET /livez HTTP/1.1\r\n');
    // A byte now and then: the limit is for the whole request, not for silence.
    const dripping = setInterval(() => socket.write('x'), 100);
    let answer = '';
    socket.on('data', (data) => {
      answer += data;
    });
    expect((await fetch(url('/livez'))).status).toBe(200);
    await closed;
    clearInterval(dripping);
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
  });

  test('the work for scrapes at the same time: one answer serves them all', async () => {
    let reads = 0;
    const first = Promise.withResolvers<string>();
    const server = await startAdminServer({
      host: '127.0.0.1',
      port: 0,
      metrics: () => {
        reads += 1;
        return first.promise;
      },
      isReady: () => true,
      console: null,
      log: silent,
    });
    const socket = connect(server.port, '127.0.0.1');
    let answers = '';
    socket.on('data', (data) => {
      answers += data;
    });
    // In one packet: all have come before the first is answered.
    socket.write('GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(20));
    await expect.poll(() => reads, { timeout: 60_000 }).toBe(1);
    first.resolve('x 1\n');
    await expect.poll(() => answers.split('x 1\n').length - 1, { timeout: 60_000 }).toBe(20);
    expect(reads).toBe(1);
    socket.destroy();
    await server.stop();
  });
});

describe('it listens', () => {
  test.each([
    ['127.0.0.1', 'by default, wherever calls are received', { HOST: '127.0.0.2' }],
    ['127.0.0.2', 'if that is configured', { ADMIN_HOST: '127.0.0.2' }],
  ])('on %s %s', async (host, _, env) => {
    const own = await startTestService({ env: { ADMIN_PORT: '0', ...env } });
    const statusAt = (address: string) =>
      fetch(`http://${address}:${own.service.adminPort}/livez`).then(
        ({ status }) => status,
        () => 'refused',
      );
    const addresses = ['127.0.0.1', '127.0.0.2'];
    const answers = await Promise.all(addresses.map(statusAt));
    expect(answers).toEqual(addresses.map((address) => (address === host ? 200 : 'refused')));
    await own.stop();
  });

  test('nowhere where there is no port', async () => {
    const own = await startTestService({ env: { ADMIN_PORT: 'none' } });
    expect(own.service.adminPort).toBeNull();
    await own.stop();
  });
});
