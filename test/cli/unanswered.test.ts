/** What a person is told of a change that nothing has answered: whether it may have been done. */
import '../../src/telemetry/sdk.ts';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { toCallError } from '../../src/cli/service-call.ts';
import { connect, ScripError } from '../../src/client.ts';
import { ErrorInfo } from '../../src/gen/google/rpc/error_details.ts';
import { Status } from '../../src/gen/google/rpc/status.ts';
import { failAfter } from './failing-proxy.ts';
import { capture } from './in-process.ts';

const NOBODY = '127.0.0.1:1';
const CHARGE = ['charge', 'acme', '--credits', '3', '--request-id', 'job-1'];
const MAY_BE_DONE = 'it may have been done: to be sure, repeat it with --request-id job-1';

async function said(address: string) {
  const { exitCode, lines } = await capture([...CHARGE, '--address', address], {});
  expect(exitCode).toBe(3);
  return lines.map(({ text }) => text).join('\n');
}

/** What answers on the address has had the call, and says that nobody serves it. */
async function reached(details?: string) {
  return await failAfter(0, '/billing.v1.BillingService/Charge', NOBODY, undefined, details);
}

test.each([
  ['an address that refuses connections', NOBODY],
  ['two of them', `${NOBODY},127.0.0.1:2`],
  ['a socket that there is not', 'unix:/nowhere'],
  ['a name that there is not', 'nowhere.invalid:50051'],
])('of %s, nothing was done', async (_, address) => {
  const text = await said(address);
  expect(text).toMatch(/^scrip: no service answers on .*; nothing was done$/);
  expect(text).not.toContain('may have been done');
});

test('what has reached a service may have been done', async () => {
  const proxy = await reached();
  expect(await said(proxy.address)).toContain(MAY_BE_DONE);
  proxy.stop();
});

test('so may what the first of two addresses has had', async () => {
  const proxy = await reached();
  expect(await said(`${proxy.address},${NOBODY}`)).toContain(MAY_BE_DONE);
  proxy.stop();
});

test('so may what something in between has had, whatever it says of its own connections', async () => {
  const proxy = await reached('No connection established. Last error: ECONNREFUSED');
  expect(await said(proxy.address)).toContain(MAY_BE_DONE);
  proxy.stop();
});

test('nothing was done where the deadline passes before there is a connection', async () => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const scrip = connect(`127.0.0.1:${port}`);
  const charge = { accountId: 'acme', requestId: 'job-1', credits: 3n };
  const error = await scrip.billing.charge(charge, { deadline: Date.now() + 300 }).then(
    () => expect.fail('it was answered'),
    (thrown: unknown) => thrown as ScripError,
  );
  scrip.close();
  silent.close();
  expect(error.code).toBe(status.DEADLINE_EXCEEDED);
  expect(toCallError(error, 'silent')).toMatchObject({ exitCode: 3, mayBeDone: false });
});

test.each([
  ['DEADLINE_EXCEEDED', status.DEADLINE_EXCEEDED, true],
  ['DATABASE_UNAVAILABLE', status.UNAVAILABLE, true],
  ['PAYMENT_PROVIDER_UNAVAILABLE', status.UNAVAILABLE, true],
  ['INTERNAL', status.INTERNAL, true],
  ['SHUTTING_DOWN', status.UNAVAILABLE, false],
  ['INSUFFICIENT_CREDITS', status.FAILED_PRECONDITION, false],
])('a service that answers with %s', (reason, code, mayBeDone) => {
  expect(toCallError(answer(reason, code), 'here').mayBeDone).toBe(mayBeDone);
});

/** As a service sends it. */
function answer(reason: string, code: status): ScripError {
  const info = ErrorInfo.encode(ErrorInfo.fromPartial({ reason, domain: 'billing.v1' })).finish();
  const details = [
    { typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo', value: Buffer.from(info) },
  ];
  const metadata = new Metadata();
  const bytes = Status.encode(Status.fromPartial({ code, details })).finish();
  metadata.set('grpc-status-details-bin', Buffer.from(bytes));
  const error: ServiceError = Object.assign(new Error(reason), { code, details: reason, metadata });
  return new ScripError(error);
}
