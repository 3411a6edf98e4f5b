/** Bearer tokens: whose are accepted, and whom they name. */
import { randomUUID } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { HOUR, MINUTE } from '../accounts.ts';
import { captureLog } from '../disruptions.ts';
import { healthOf } from '../health.ts';
import { errorOf } from '../rpc-error.ts';
import { callerOf, clientOf, tlsOf } from './client.ts';
import {
  inSeconds,
  issuerOf,
  KeyServer,
  type TokenClaims,
  TokenKey,
  unsigned,
} from './token-authority.ts';
import {
  authority,
  bearer,
  key,
  keys,
  lines,
  problemOf,
  scrip,
  startHere,
  tls,
} from './token-service.ts';

describe('a token', () => {
  test('names its caller, whatever x-caller says', async () => {
    expect(await callerOf(bearer(await key.sign()))).toBe('cluster:renderer');
  });

  test('of a Kubernetes service account names that', async () => {
    const sub = 'system:serviceaccount:media:renderer';
    const aud = ['https://kubernetes.default.svc', 'scrip'];
    expect(await callerOf(bearer(await key.sign({ sub, aud })))).toBe(`cluster:${sub}`);
  });

  test('can be read anew for each call', async () => {
    const tokens = [await key.sign({ sub: 'one' }), await key.sign({ sub: 'two' })];
    const { plans } = bearer(async () => tokens.shift() ?? 'none');
    await plans.listPlans({});
    await plans.listPlans({});
    expect((await errorOf(plans.listPlans({}))).metadata['problem']).toBe('TOKEN_MALFORMED');
  });

  test('is verified once for many calls at the same time', async () => {
    const { plans } = bearer(await key.sign({ sub: 'many' }));
    await Promise.all(Array.from({ length: 50 }, () => plans.listPlans({})));
  });

  test('has the claims that its issuer requires', async () => {
    const claims = {
      iss: 'https://strict',
      'kubernetes.io': { namespace: 'media' },
      groups: ['media', 'billing'],
    };
    expect(await callerOf(bearer(await key.sign(claims)))).toBe('strict:renderer');
  });
});

describe('a token is refused', () => {
  test.each<[string, string, TokenClaims]>([
    ['has expired', 'TOKEN_EXPIRED', { exp: inSeconds(-60) }],
    ['never expires', 'TOKEN_CLAIM', { exp: undefined }],
    ['expires at a time that is no number', 'TOKEN_CLAIM', { exp: 'tomorrow' }],
    ['is not valid yet', 'TOKEN_NOT_YET_VALID', { nbf: inSeconds(60) }],
    ['is for another audience', 'TOKEN_AUDIENCE', { aud: 'other' }],
    ['is for other audiences', 'TOKEN_AUDIENCE', { aud: ['other', 'another'] }],
    ['is for no audience', 'TOKEN_AUDIENCE', { aud: undefined }],
    ['is of another issuer', 'TOKEN_ISSUER', { iss: 'https://other.example.org' }],
    ['is of no issuer', 'TOKEN_ISSUER', { iss: undefined }],
    ['names no caller', 'TOKEN_CLAIM', { sub: undefined }],
    ['names an empty caller', 'TOKEN_CLAIM', { sub: '' }],
    ['names a caller with a space', 'TOKEN_CLAIM', { sub: 'the renderer' }],
    ['names a caller of 250 characters', 'TOKEN_CLAIM', { sub: 'x'.repeat(250) }],
    ['names a caller by a number', 'TOKEN_CLAIM', { sub: 7 }],
    ['lacks a claim', 'TOKEN_CLAIM', { iss: 'https://strict', groups: 'billing' }],
    [
      'has a claim with another value',
      'TOKEN_CLAIM',
      { iss: 'https://strict', groups: 'billing', 'kubernetes.io': { namespace: 'web' } },
    ],
    [
      'is signed with an algorithm that its issuer does not use',
      'TOKEN_ALGORITHM',
      { iss: 'https://mail' },
    ],
  ])('that %s', async (_, problem, claims) => {
    expect(await problemOf(await key.sign(claims))).toBe(problem);
  });

  test('that nobody signed', async () => {
    expect(await problemOf(unsigned())).toBe('TOKEN_ALGORITHM');
  });

  test('that the public key signed, as a secret', async () => {
    expect(await problemOf(await key.signAsSecret())).toBe('TOKEN_ALGORITHM');
  });

  test('that another key signed under the id of the right one', async () => {
    const other = await TokenKey.create('first');
    expect(await problemOf(await other.sign())).toBe('TOKEN_SIGNATURE');
  });

  test('whose content was changed', async () => {
    const [header, , signature] = (await key.sign()).split('.');
    const [, payload] = (await key.sign({ sub: 'admin' })).split('.');
    expect(await problemOf(`${header}.${payload}.${signature}`)).toBe('TOKEN_SIGNATURE');
  });

  test.each([
    ['longer than 8 KB', 'TOKEN_TOO_LONG', 'x'.repeat(8_192)],
    ['no JWT', 'TOKEN_MALFORMED', 'secret'],
    ['of three parts that are none', 'TOKEN_MALFORMED', 'x.y.z'],
  ])('that is %s', async (_, problem, token) => {
    expect(await problemOf(token)).toBe(problem);
  });

  test('that is two, of a client that sends it', async () => {
    const client = clientOf(scrip, { tls: tlsOf(authority.certificate) });
    const metadata = new Metadata();
    metadata.set('authorization', 'Bearer one two');
    const error = await errorOf(client.plans.listPlans({}, { metadata }));
    expect(error).toMatchObject({ metadata: { problem: 'TOKEN_MALFORMED' } });
  });

  test('whose header says no algorithm', async () => {
    const [, payload, signature] = (await key.sign()).split('.');
    expect(await problemOf(`e30.${payload}.${signature}`)).toBe('TOKEN_MALFORMED');
  });

  test('that is a password', async () => {
    const metadata = new Metadata();
    metadata.set('authorization', `Basic ${Buffer.from('me:secret').toString('base64')}`);
    const { plans } = clientOf(scrip, { tls: tlsOf(authority.certificate) });
    const error = await errorOf(plans.listPlans({}, { metadata }));
    expect(error.metadata['problem']).toBe('TOKEN_MALFORMED');
  });

  test('where none is accepted', async () => {
    const mutual = await startHere([], {
      env: { TLS_CLIENT_CA_FILE: tls.env['TLS_CLIENT_CA_FILE'] ?? '' },
    });
    const pair = await authority.sign({ commonName: 'gateway' });
    const client = bearer(await key.sign(), mutual, { tls: tlsOf(authority.certificate, pair) });
    expect((await errorOf(client.plans.listPlans({}))).metadata['problem']).toBe(
      'TOKEN_NOT_ACCEPTED',
    );
  });

  test('with a line for the auditor', async () => {
    const before = lines.length;
    await problemOf(await key.sign({ aud: 'elsewhere' }));
    expect(lines.slice(before)).toContainEqual(
      expect.objectContaining({
        level: 30,
        msg: 'denied',
        reason: 'CALLER_UNKNOWN',
        problem: 'TOKEN_AUDIENCE',
        method: 'billing.v1.PlanService/ListPlans',
        peer: expect.stringMatching(/127\.0\.0\.1|::1/),
      }),
    );
  });

  test('and what it says is neither sent back nor logged', async () => {
    const token = await key.sign({ sub: 'planted secret', exp: inSeconds(-60) });
    const error = await errorOf(bearer(token).plans.listPlans({}));
    expect(error.message).toBe('the caller is not known: the token has expired');
    const line = lines.findLast((one) => one['scrip.reason'] === 'CALLER_UNKNOWN');
    expect(line).toMatchObject({
      'rpc.method': 'billing.v1.PlanService/ListPlans',
      'rpc.status_code': 'UNAUTHENTICATED',
      detail: 'the caller is not known: the token has expired',
    });
    for (const part of token.split('.').slice(1))
      expect(JSON.stringify({ error, lines }, bigints)).not.toContain(part);
  });
});

const bigints = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);

test('a token that is known is refused once it has expired', async () => {
  const service = await startHere([issuerOf({ url: keys.url })]);
  const { plans } = bearer(await key.sign({ exp: inSeconds(120) }), service);
  await plans.listPlans({});
  service.advance(2 * MINUTE + 10_000);
  expect((await errorOf(plans.listPlans({}))).metadata['problem']).toBe('TOKEN_EXPIRED');
});

test('a call that ended while its token was verified is not served', async () => {
  const server = await KeyServer.start(key);
  onTestFinished(() => server.stop());
  const { log, lines } = captureLog('debug');
  const service = await startHere([issuerOf({ url: server.url })], { log });
  const answer = server.hold();
  const client = bearer(await key.sign({ sub: 'gone' }), service);
  const path = '/billing.v1.PlanService/ListPlans';
  const same = (bytes: Buffer) => bytes;
  const none = Buffer.alloc(0);
  const call = client.channel.makeUnaryRequest(path, same, same, none, () => {});
  await expect.poll(() => server.requests, { timeout: 60_000 }).toBe(1);
  call.cancel();
  // It is answered after the service has read that the call before it ended.
  await healthOf({ ...service, ...client });
  answer();
  const isServed = () =>
    client.plans.listPlans({}).then(
      () => true,
      () => false,
    );
  await expect.poll(isServed, { timeout: 60_000 }).toBe(true);
  expect(lines.filter((line) => line['scrip.caller'] === 'cluster:gone')).toHaveLength(1);
});
test('a stream ends with the next message after its token has expired', async () => {
  const service = await startHere([issuerOf({ url: keys.url })]);
  const accountId = `acct-${randomUUID()}`;
  const mine = clientOf(service, {
    tls: tlsOf(authority.certificate),
    token: await key.sign({ exp: inSeconds(3_600) }),
  });
  await mine.accounts.openAccount({ accountId, requestId: 'open', planId: 'verts' });
  const messages = mine.billing.streamHistory({ accountId, follow: true });
  await messages.next();
  service.advance(2 * HOUR);
  const later = clientOf(service, {
    tls: tlsOf(authority.certificate),
    token: await key.sign({ exp: inSeconds(4 * 3_600) }),
  });
  await later.accounts.updateAccount({ accountId, requestId: 'rename', displayName: 'next' });
  expect((await errorOf(messages.next())).metadata['problem']).toBe('TOKEN_EXPIRED');
});
