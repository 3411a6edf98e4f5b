/** Probes and metrics are answered whoever else is connected to the admin port. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { send } from '../console/browser-client.ts';
import { startTestService, type TestService } from '../service.ts';

let scrip: TestService;
let port: number;
beforeAll(async () => {
  scrip = await startTestService({ env: { ADMIN_PORT: '0' } });
  port = scrip.service.adminPort as number;
});
afterAll(() => scrip.stop());

/** Connections that have sent this, and nothing else. */
async function openMany(count: number, text: string): Promise<readonly Socket[]> {
  const sockets = Array.from({ length: count }, () => connect(port, '127.0.0.1'));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (const socket of sockets) {
    socket.on('error', () => {});
    await once(socket, 'connect');
    if (text) socket.write(text);
  }
  return sockets;
}

const areAnswered = async () => {
  for (const path of ['/livez', '/readyz', '/metrics'])
    expect((await send(port, { path, headers: { host: 'x' } })).status).toBe(200);
};

const POST =
  'POST /console/api/rpc/billing.v1.PlanService/ListPlans HTTP/1.1\r\nhost: localhost\r\n' +
  'origin: http://localhost\r\nx-scrip-console: 1\r\ncontent-type: application/json\r\n';

test.each([
  ['say nothing', ''],
  ['send half a request', 'GET /livez HTTP/1.1\r\nx: '],
  ['send half a body to the console', `${POST}content-length: 60000\r\n\r\n{`],
  ['begin to send chunks to it', `${POST}transfer-encoding: chunked\r\n\r\n1\r\n{\r\n`],
])('while 120 connections %s', async (_, text) => {
  await openMany(120, text);
  await areAnswered();
});

test('while 120 connections have had their answer and stay', async () => {
  const sockets = await openMany(120, 'GET /console/ HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await Promise.allSettled(sockets.map((socket) => once(socket, 'data')));
  await areAnswered();
});

test('the connection that was used longest ago makes room', async () => {
  const [first, second] = await openMany(2, '');
  const closed = once(first as Socket, 'close');
  second?.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n');
  await once(second as Socket, 'data');
  await openMany(49, '');
  await closed;
  second?.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n');
  const [answer] = await once(second as Socket, 'data');
  expect(String(answer)).toMatch(/^HTTP\/1.1 200 /);
});
