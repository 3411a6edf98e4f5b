/** A database is a sandbox's or not, for ever, and so is a service. */

import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { oneDatabase } from '../../src/cells/installation.ts';
import { requireConfig } from '../../src/config.ts';
import { ServerReflectionService } from '../../src/gen/grpc/reflection/v1/reflection.ts';
import { isMarked, prepareSandbox, WrongDatabase } from '../../src/sandbox/mark.ts';
import { sandboxEnvironment, sandboxProblems } from '../../src/sandbox/start.ts';
import { startService } from '../../src/service.ts';
import { healthOf } from '../health.ts';
import { createDatabase, createEmptyDatabase, execute } from '../postgres.ts';
import { plansOfDeploy, startTestService, type TestService } from '../service.ts';
import { startSandbox, type TestSandbox } from './sandbox-service.ts';

const SERVICE = 'sandbox.v1.SandboxService';

let sandbox: TestSandbox;
let normal: TestService;
beforeAll(async () => {
  sandbox = await startSandbox();
  normal = await startTestService();
});
afterAll(async () => {
  await sandbox.stop();
  await normal.stop();
});

async function servicesOf({ channel }: TestSandbox | TestService): Promise<readonly string[]> {
  const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
  const { requestSerialize, responseDeserialize } = ServerReflectionService.serverReflectionInfo;
  const call = channel.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  call.write({ host: '', messageRequest: { $case: 'listServices', value: '' } });
  call.end();
  const [answer] = await call.toArray();
  const response = answer.messageResponse;
  return response?.$case === 'listServicesResponse'
    ? response.value.service.map(({ name }: { readonly name: string }) => name)
    : [];
}

describe('a service that is no sandbox', () => {
  test('has no clock that is moved, and nothing says that one could have', async () => {
    expect(normal.service.sandbox).toBeNull();
    const calls = [
      normal.sandbox.getClock({}),
      normal.sandbox.advanceClock({ until: new Date('2100-01-01') }),
      normal.sandbox.actOnPayment({}),
      normal.sandbox.listPayments({}),
    ];
    for (const call of calls)
      await expect(call).rejects.toMatchObject({ reason: 'METHOD_UNKNOWN' });
    await expect(healthOf(normal, SERVICE)).rejects.toMatchObject({ code: 5 });
    expect(await servicesOf(normal)).not.toContain(SERVICE);
  });

  test('marks no answer', async () => {
    let mark: unknown[] = ['none was received'];
    await normal.plans.listPlans(
      {},
      { onTrailers: (trailers) => (mark = trailers.get('scrip-sandbox')) },
    );
    expect(mark).toEqual([]);
  });

  test('does not start on the database of a sandbox', async () => {
    const config = requireConfig({ PORT: '0', ADMIN_PORT: 'none' });
    const log = pino({ level: 'silent' });
    const start = startService(config, oneDatabase(sandbox.databaseUrl), null, log);
    await expect(start).rejects.toBeInstanceOf(WrongDatabase);
  });
});

describe('a sandbox', () => {
  test('serves its clock, and says so', async () => {
    expect(await healthOf(sandbox as unknown as TestService, SERVICE)).toBe('SERVING');
    expect(await servicesOf(sandbox)).toContain(SERVICE);
    let mark: unknown[] = [];
    const onTrailers = (trailers: { get(key: string): unknown[] }) => {
      mark = trailers.get('scrip-sandbox');
    };
    const { time, moved } = await sandbox.sandbox.getClock({}, { onTrailers });
    expect(mark).toEqual(['true']);
    expect(moved).toMatchObject({ seconds: 0n });
    expect(Math.abs((time?.getTime() ?? 0) - sandbox.now())).toBeLessThan(60_000);
  });

  test('marks its errors, too', async () => {
    let mark: unknown[] = [];
    const onTrailers = (trailers: { get(key: string): unknown[] }) => {
      mark = trailers.get('scrip-sandbox');
    };
    await expect(
      sandbox.billing.getBalance({ accountId: 'nobody' }, { onTrailers }),
    ).rejects.toMatchObject({ reason: 'ACCOUNT_NOT_FOUND' });
    expect(mark).toEqual(['true']);
  });

  test('does not start on another database', async () => {
    await expect(startSandbox(normal.databaseUrl)).rejects.toBeInstanceOf(WrongDatabase);
  });

  test.each([
    ['HOST', { HOST: '0.0.0.0', INSECURE: 'true', POLICY_FILE: 'policy.yaml' }],
    ['ADMIN_HOST', { ADMIN_HOST: '0.0.0.0' }],
    ['STRIPE_SECRET_KEY', { STRIPE_SECRET_KEY: 'sk_live_x' }],
  ])('refuses a %s of production', (name, env) => {
    const problems = sandboxProblems(requireConfig(sandboxEnvironment(env)));
    expect(problems).toEqual([expect.stringContaining(name)]);
  });

  test('has a data directory of its own', () => {
    expect(sandboxEnvironment({})['DATA_DIRECTORY']).toMatch(/\/\.data-sandbox$/);
    expect(sandboxEnvironment({ DATA_DIRECTORY: '/elsewhere' })['DATA_DIRECTORY']).toBe(
      '/elsewhere',
    );
  });
});

describe('a database', () => {
  test('becomes a sandbox while it is empty, once and again', async () => {
    const url = await createEmptyDatabase(inject('postgresUrl'));
    expect(await isMarked(url)).toBe(false);
    await Promise.all([prepareSandbox(url), prepareSandbox(url)]);
    await prepareSandbox(url);
    expect(await isMarked(url)).toBe(true);
    expect(await execute(url, 'select offset_ms::int from sandbox.clock')).toEqual([
      { offset_ms: 0 },
    ]);
  });

  test('that has a schema does not become one', async () => {
    const url = await createDatabase(inject('postgresUrl'));
    await expect(prepareSandbox(url)).rejects.toBeInstanceOf(WrongDatabase);
    expect(await isMarked(url)).toBe(false);
  });
});

test('the plans of deploy/ are the ones of both', async () => {
  const ids = (await plansOfDeploy()).map(({ planId }) => planId).toSorted();
  expect(sandbox.service.planIds.toSorted()).toEqual(ids);
});
