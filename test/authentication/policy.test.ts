/** Who calls, as the policy names them: its rules, and the issuers that it lists. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { captureLog } from '../disruptions.ts';
import { errorOf } from '../rpc-error.ts';
import { startTestService, type TestOptions, type TestService } from '../service.ts';
import { callerOf, clientOf } from './client.ts';
import { AUDIENCE, ISSUER, KeyServer, keySetOf, TokenKey } from './token-authority.ts';

let key: TokenKey;
let keys: KeyServer;
let directory: string;
let POLICY_FILE: string;
beforeAll(async () => {
  key = await TokenKey.create('first');
  keys = await KeyServer.start(key);
  directory = await mkdtemp(join(tmpdir(), 'scrip-policy-'));
  POLICY_FILE = join(directory, 'policy.yaml');
});
afterAll(async () => {
  await keys.stop();
  await rm(directory, { recursive: true });
});

/** An issuer as a policy file states it. */
const issuer = (name: string, iss = ISSUER, jwks = `url: '${keys.url}'`) =>
  `{ name: ${name}, issuer: '${iss}', audience: ${AUDIENCE}, jwks: { ${jwks} } }`;

/** A policy that makes these callers administrators. */
const policyOf = (issuers: readonly string[], ...callers: readonly string[]): string =>
  [
    'version: 1',
    `issuers: [${issuers.join(', ')}]`,
    'callers:',
    ...callers.map((id) => `  - { id: '${id}', roles: [billing-admin] }`),
  ].join('\n');

async function start(policy: string, options: TestOptions = {}): Promise<TestService> {
  await writeFile(POLICY_FILE, policy);
  const env = { POLICY_FILE, POLICY_RELOAD_INTERVAL_MS: '86400000', ...options.env };
  const service = await startTestService({ ...options, env });
  onTestFinished(() => service.stop());
  return service;
}

test('without TLS on another address x-caller does not count', async () => {
  const policy = policyOf([issuer('cluster')], 'cluster:admin');
  const service = await start(policy, { env: { HOST: '0.0.0.0', INSECURE: 'true' } });
  const { plans } = clientOf(service, { caller: 'cluster:admin' });
  expect((await errorOf(plans.listPlans({}))).message).toBe(
    'the caller is not known: there is no bearer token',
  );
  const token = await key.sign({ sub: 'admin' });
  expect(await callerOf(clientOf(service, { caller: 'x', token }))).toBe('cluster:admin');
  expect(service.service.transport).toBe('insecure');
});

test('on loopback a rule for header:NAME is about x-caller, and entries store the name alone', async () => {
  const service = await start(policyOf([issuer('cluster')], 'header:anna', 'cluster:admin'));
  expect(await callerOf(clientOf(service, { caller: 'anna' }))).toBe('anna');
  const asCaller = (caller: string) => errorOf(clientOf(service, { caller }).plans.listPlans({}));
  expect(await asCaller('bob')).toMatchObject({
    code: status.PERMISSION_DENIED,
    reason: 'CALLER_NOT_ALLOWED',
  });
  // Entries and reservations of tokens and certificates have such names.
  for (const caller of ['header:anna', 'cluster:admin', 'cn:anna', 'spiffe://example.org/anna'])
    expect(await asCaller(caller)).toMatchObject({ reason: 'INVALID_FIELD' });
});

test('another policy brings other issuers, and the keys of those that stay are not fetched again', async () => {
  const service = await start(policyOf([issuer('cluster')], 'cluster:renderer'));
  const { plans } = clientOf(service, { token: await key.sign() });
  const other = clientOf(service, { token: await key.sign({ iss: 'https://other' }) });
  await plans.listPlans({});
  expect((await errorOf(other.plans.listPlans({}))).metadata['problem']).toBe('TOKEN_ISSUER');
  const requests = keys.requests;

  const both = [issuer('cluster'), issuer('other', 'https://other')];
  await writeFile(POLICY_FILE, policyOf(both, 'cluster:renderer', 'other:renderer'));
  await service.service.reload();
  await plans.listPlans({});
  await other.plans.listPlans({});
  // `reload` has fetched them.
  expect(keys.requests).toBe(requests + 1);

  await writeFile(POLICY_FILE, policyOf([issuer('other', 'https://other')], 'other:renderer'));
  await service.service.reload();
  expect((await errorOf(plans.listPlans({}))).metadata['problem']).toBe('TOKEN_ISSUER');
  await other.plans.listPlans({});
});

test('a policy with an issuer whose file of keys is missing changes nothing until the file is there', async () => {
  const { log, lines } = captureLog('debug');
  const service = await start(policyOf([issuer('cluster')], 'cluster:renderer'), { log });
  const { plans } = clientOf(service, { token: await key.sign() });
  await plans.listPlans({});
  const file = join(directory, 'later.json');
  const missing = issuer('cluster', 'https://other.example.org', `file: ${file}`);
  await writeFile(POLICY_FILE, policyOf([missing], 'cluster:other'));
  await service.service.reload();
  await service.service.reload();
  await plans.listPlans({});
  const broken = 'the policy file is invalid: the policy before it stays in force';
  expect(lines.filter(({ msg }) => msg === broken)).toHaveLength(1);
  await writeFile(file, JSON.stringify(await keySetOf(key)));
  await service.service.reload();
  expect((await errorOf(plans.listPlans({}))).metadata['problem']).toBe('TOKEN_ISSUER');
});
