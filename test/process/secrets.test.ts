/**
 * No secret comes out of a service that runs: not in its log, answers, errors, spans, rows or command line, while
 * whatever can fail does. All of its secrets are planted, once as variables and once in files.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { connect, type Scrip, ScripError } from '../../src/client.ts';
import { readPostmaster } from '../../src/embedded-postgres/postmaster.ts';
import { createServiceLogin } from '../../src/embedded-postgres/service-login.ts';
import { defined } from '../accounts.ts';
import {
  type Authority,
  createAuthority,
  createTlsDirectory,
  signServer,
  type TlsDirectory,
} from '../authentication/authority.ts';
import { AUDIENCE, ISSUER, KeyFile, TokenKey } from '../authentication/token-authority.ts';
import { blockConnections } from '../disruptions.ts';
import { answers, Receiver } from '../events/receiver.ts';
import { CHECKOUT } from '../payments/given.ts';
import { type Intercept, StripeFake, signatureOf } from '../payments/stripe-fake.ts';
import { createDatabase, execute } from '../postgres.ts';
import { familyOf, PASSWORD, PlantedSecrets, withPassword } from './planted.ts';
import { end, logOf, type Replica, SOON, startPublished, startReplica } from './replica.ts';

/** What a collector receives. It refuses half of it, so that the exporter has something to complain about. */
class Collector {
  text = '';
  authorized = 0;
  readonly #server = createServer(async (request, response) => {
    for await (const part of request) this.text += part;
    if (request.headers.authorization === `Bearer ${OTEL_TOKEN}`) this.authorized += 1;
    response.writeHead(this.authorized % 2 === 0 ? 401 : 200, {
      'content-type': 'application/json',
    });
    response.end('{}');
  });

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const OTEL_TOKEN = 'planted-token-of-the-collector';
const accountId = 'planted';

let authority: Authority;
let key: TokenKey;
let keys: KeyFile;
beforeAll(async () => {
  authority = await createAuthority();
  key = await TokenKey.create('one');
  keys = await KeyFile.create(key);
});
afterAll(() => keys.remove());

const policy = () => `
version: 1
issuers:
  - { name: cluster, issuer: ${ISSUER}, audience: ${AUDIENCE}, jwks: { file: ${keys.file} } }
callers:
  - { id: cluster:admin, roles: [product-service, billing-admin, observer] }
  - { id: cluster:reader, roles: [observer] }
`;

/** What the error of a call shows to its caller, trailers included. */
async function answerOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => expect.fail('the call succeeded'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ScripError)) throw error;
  const { metadata } = error.cause as ServiceError;
  const trailers = Object.values(metadata.getMap()).map((value) =>
    typeof value === 'string' ? value : value.toString('latin1'),
  );
  return [error.code, error.reason, error.message, ...trailers].join('\n');
}

describe.each(['variables', 'files'])('with its secrets in %s, a service', (kind) => {
  let secrets: PlantedSecrets;
  let ownersUrl: string;
  let tls: TlsDirectory;
  let scrip: Replica;
  let admin: Scrip;
  const collector = new Collector();
  const receiver = new Receiver();
  const stripe = new StripeFake();

  /** A client with a token of its own, which is planted. */
  async function clientWith(token: string): Promise<Scrip> {
    secrets.plant(`the token ${token.slice(-8)}`, token);
    secrets.plant(`its signature`, token.split('.').at(-1) ?? token);
    const tlsOptions = { ca: authority.certificate };
    return connect(`localhost:${scrip.port}`, { tls: tlsOptions, token });
  }

  beforeAll(async () => {
    secrets = await PlantedSecrets.create();
    secrets.plant('the token of the collector', OTEL_TOKEN);
    ownersUrl = await createDatabase(inject('postgresUrl'));
    const user = `planted_${kind}`;
    await execute(
      ownersUrl,
      `create role ${user} login password '${PASSWORD}' in role scrip_runtime`,
    );
    const pair = await signServer(authority);
    secrets.plantKey('the key of the certificate', pair.key);
    tls = await createTlsDirectory(pair);
    await Promise.all([receiver.open(), stripe.start()]);
    receiver.answer = (response, { headers }) =>
      answers(500, {}, JSON.stringify(headers))(response, { headers } as never);
    const env = {
      ...stripe.env,
      ...receiver.env,
      ...tls.env,
      DATABASE_URL: withPassword(ownersUrl, user),
      POLICY_FILE: await secrets.file('policy.yaml', policy()),
      TLS_RELOAD_INTERVAL_MS: '50',
      DATABASE_PROBE_INTERVAL_MS: '100',
      EVENTS_WEBHOOK_ATTEMPTS_MAX: '1',
      PURCHASE_CHECK_INTERVAL_MS: '200',
      LOG_LEVEL: 'trace',
      OTEL_LOG_LEVEL: 'debug',
      OTEL_EXPORTER_OTLP_ENDPOINT: await collector.start(),
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${OTEL_TOKEN}`,
    };
    const given = kind === 'files' ? await secrets.inFiles(env) : env;
    scrip = await startReplica(given, [], ownersUrl);
    admin = await clientWith(await key.sign({ sub: 'admin' }));
    await admin.accounts.openAccount({ accountId, requestId: 'open', planId: 'verts' });
  });
  afterAll(async () => {
    admin.close();
    await end(scrip);
    collector.stop();
    await Promise.all([receiver.close(), stripe.stop(), tls.remove(), secrets.remove()]);
  });

  const logged = (message: string | RegExp) =>
    expect.poll(() => scrip.output.stdout, SOON).toMatch(message);
  const charge = (client: Scrip, requestId: string, credits = 1n) =>
    client.billing.charge({ accountId, requestId, credits });
  const purchase = (requestId: string) =>
    admin.billing.purchase({ accountId, requestId, packId: 'starter', payment: CHECKOUT });

  test('shows none in what it answers to callers that are not known or not allowed', async () => {
    const tokens = {
      nonsense: 'planted-token-that-is-none',
      expired: await key.sign({ exp: 1 }),
      'of another audience': await key.sign({ aud: 'other' }),
      'of a caller that may not': await key.sign({ sub: 'reader' }),
      'of a caller of no rule': await key.sign({ sub: 'stranger' }),
    };
    for (const [name, token] of Object.entries(tokens)) {
      const client = await clientWith(token);
      secrets.expectNoneIn(name, await answerOf(charge(client, 'x')));
      client.close();
    }
  });

  test('shows none in what it refuses', async () => {
    secrets.expectNoneIn('no credits', await answerOf(charge(admin, 'refused', 1_000_000n)));
    secrets.expectNoneIn('a bad request', await answerOf(charge(admin, '')));
    const missing = { accountId: 'nobody', requestId: 'x', credits: 1n };
    secrets.expectNoneIn('no account', await answerOf(admin.billing.charge(missing)));
  });

  test('shows none where it has a bug', async () => {
    await execute(ownersUrl, 'alter table entries rename to away');
    const answer = await answerOf(charge(admin, 'bug'));
    await execute(ownersUrl, 'alter table away rename to entries');
    expect(answer).toContain(`${status.INTERNAL}\nINTERNAL`);
    secrets.expectNoneIn('a bug', answer);
    await logged(/"msg":"bug"/);
  });

  test('shows none where the payment provider fails', async () => {
    const failure = (code: number, type: string) => ({
      status: code,
      body: { error: { type, message: 'Invalid API Key provided: sk_test_****fake' } },
    });
    const failures: readonly [string, Awaited<ReturnType<Intercept>>][] = [
      ['hangs up', 'hang up'],
      ['refuses the key', failure(401, 'invalid_request_error')],
      ['forbids', failure(403, 'invalid_request_error')],
      ['is broken', failure(500, 'api_error')],
      ['answers something else', { status: 200, body: {} }],
    ];
    for (const [name, end] of failures) {
      stripe.intercept = () => end;
      secrets.expectNoneIn(name, await answerOf(purchase(`purchase ${name}`)));
    }
    stripe.intercept = () => undefined;
    // The key was used: the provider accepts no other.
    expect((await purchase('purchase')).purchase?.checkoutUrl).not.toBe('');
  });

  test('shows none to whoever sends it webhooks', async () => {
    const url = `http://127.0.0.1:${scrip.webhookPort}/webhooks/stripe`;
    const post = async (body: string, signature: string, path = '') => {
      const headers = { 'stripe-signature': signature };
      const response = await fetch(url + path, { method: 'POST', body, headers });
      return `${response.status} ${JSON.stringify([...response.headers])} ${await response.text()}`;
    };
    const [session] = [...stripe.sessions.values()];
    const { body, signature } = stripe.event('checkout.session.completed', session ?? {});
    const wrong = signatureOf(body, Date.now(), 'whsec_of_another');
    for (const [name, answer] of [
      ['forged', await post(body, wrong)],
      ['unsigned', await post(body, '')],
      ['no JSON', await post('{', signatureOf('{', Date.now()))],
      ['too large', await post('x'.repeat(600_000), signature).catch(() => 'cut off')],
      ['elsewhere', await post(body, signature, '/x')],
    ] as const)
      secrets.expectNoneIn(`a webhook that is ${name}`, answer);
    stripe.intercept = () => 'hang up';
    const postponed = await post(body, signature);
    stripe.intercept = () => undefined;
    expect(postponed).toMatch(/^503 /);
    secrets.expectNoneIn('a webhook that is postponed', postponed);
    await logged(/"msg":"webhook postponed"/);
  });

  test('shows none where deliveries of events fail', async () => {
    await logged(/"msg":"a delivery is dead/);
    // Signed with the secret: the receiver verifies it.
    expect(receiver.received.length).toBeGreaterThan(0);
    expect(receiver.forged).toEqual([]);
  });

  test('shows none where its certificate cannot be reloaded', async () => {
    const [one, other] = await Promise.all([signServer(authority), signServer(authority)]);
    secrets.plantKey('the key of another certificate', other.key);
    await tls.write({ server: { certificate: one.certificate, key: other.key } });
    await logged(/"msg":"certificates not reloaded/);
    await tls.write({ server: one });
    secrets.plantKey('the key of the next certificate', one.key);
    await logged(/"msg":"certificates reloaded"/);
  });

  test('shows none where the database is gone', async () => {
    const restore = await blockConnections(ownersUrl);
    const answer = await answerOf(charge(admin, 'outage'));
    await logged(/"msg":"the database does not answer/);
    await restore();
    expect(answer).toContain('DATABASE_UNAVAILABLE');
    secrets.expectNoneIn('an outage', answer);
    await logged(/"msg":"the database answers again/);
  });

  test('has none in its command line', () => {
    const lines = familyOf(scrip.process.pid ?? 0, 'cmdline');
    expect(lines[0]).toContain('src/main.ts');
    secrets.expectNoneIn('command lines', lines.join('\n'));
  });

  test('has stored none', async () => {
    const tables = await execute(
      ownersUrl,
      `select table_name::text as name from information_schema.tables where table_schema = 'public'`,
    );
    let rows = '';
    for (const { name } of tables)
      rows += JSON.stringify(await execute(ownersUrl, `select t::text from ${name} t`));
    expect(rows).toContain(accountId);
    secrets.expectNoneIn('the database', rows);
  });

  test('has written none when it stops: not in its log, its errors or its spans', async () => {
    const { code, stdout, stderr } = await scrip.signal('SIGTERM');
    expect(code, stdout.slice(-3000)).toBe(0);
    const lines = logOf(stdout).filter(({ msg }) => String(msg).startsWith('call'));
    expect(lines.length).toBeGreaterThan(10);
    expect(collector.authorized).toBeGreaterThan(0);
    expect(collector.text).toContain('billing.v1.BillingService/Charge');
    secrets.expectNoneIn('the log', stdout);
    secrets.expectNoneIn('stderr', `stderr: ${stderr}`);
    secrets.expectNoneIn('the spans', collector.text);
  });
});

test('on the embedded database neither it nor what it starts shows a password', async () => {
  const secrets = await PlantedSecrets.create();
  const DATA_DIRECTORY = join(await mkdtemp(join(tmpdir(), 'scrip-secrets-')), '.data');
  const { STRIPE_SECRET_KEY } = new StripeFake().env;
  const scrip = await startPublished({ DATA_DIRECTORY, STRIPE_SECRET_KEY, LOG_LEVEL: 'trace' });
  try {
    const path = (name: string) => readFileSync(join(DATA_DIRECTORY, name), 'utf8');
    const password = secrets.plant('the password of the owner', path('postgres/password'));
    const { port } = defined(await readPostmaster(join(DATA_DIRECTORY, 'postgres')));
    const ownersUrl = `postgres://postgres:${password}@127.0.0.1:${port}/scrip`;
    secrets.plant('that of the service', new URL(await createServiceLogin(ownersUrl)).password);
    const lines = familyOf(scrip.process.pid ?? 0, 'cmdline');
    // The service, its launcher, PostgreSQL and its sessions.
    expect(lines.length).toBeGreaterThan(5);
    expect(lines.join('\n')).toMatch(/launcher\.ts[\s\S]*postgres: [\w-]+: scrip_service scrip /);
    secrets.expectNoneIn('command lines', lines.join('\n'));
    const [, ...children] = familyOf(scrip.process.pid ?? 0, 'environ');
    secrets.expectNoneIn('environments of children', children.join('\n'));
    const { code, stdout, stderr } = await scrip.signal('SIGTERM');
    expect(code).toBe(0);
    secrets.expectNoneIn('the output', stdout + stderr);
    secrets.expectNoneIn('the log of PostgreSQL', path('postgres.log'));
  } finally {
    await end(scrip);
    // If the service was killed, its PostgreSQL stops a moment later.
    const postmaster = () => readPostmaster(join(DATA_DIRECTORY, 'postgres'));
    await vi.waitUntil(async () => (await postmaster()) === undefined, SOON);
    await secrets.remove();
    await rm(join(DATA_DIRECTORY, '..'), { recursive: true });
  }
});
