import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { UrlKeys } from '../../src/authentication/issuer-keys.ts';
import { HOUR, MINUTE } from '../accounts.ts';
import { captureLog } from '../disruptions.ts';
import { errorOf } from '../rpc-error.ts';
import { callerOf } from './client.ts';
import { issuerOf, KeyFile, KeyServer, keySetOf, TokenKey } from './token-authority.ts';
import { bearer, key, log, problemOf, startHere } from './token-service.ts';

describe('keys at a URL', () => {
  test('are rotated: tokens of the new one are accepted, of the removed one refused', async () => {
    const server = await KeyServer.start(key);
    onTestFinished(() => server.stop());
    const service = await startHere([issuerOf({ url: server.url })]);
    const old = bearer(await key.sign(), service);
    expect(await callerOf(old)).toBe('cluster:renderer');
    const next = await TokenKey.create('next', 'RS256');
    expect(await problemOf(await next.sign({ sub: 'early' }), service)).toBe('TOKEN_KEY');

    server.keys = await keySetOf(key, next);
    await service.service.reload();
    expect(await callerOf(old)).toBe('cluster:renderer');
    expect(await callerOf(bearer(await next.sign(), service))).toBe('cluster:renderer');

    server.keys = await keySetOf(next);
    await service.service.reload();
    expect((await errorOf(old.plans.listPlans({}))).metadata['problem']).toBe('TOKEN_KEY');
    expect(await callerOf(bearer(await next.sign(), service))).toBe('cluster:renderer');
  });

  test('are fetched once for many tokens', async () => {
    const server = await KeyServer.start(key);
    onTestFinished(() => server.stop());
    const service = await startHere([issuerOf({ url: server.url })]);
    const tokens = await Promise.all(
      Array.from({ length: 20 }, (_, index) => key.sign({ sub: `caller-${index}` })),
    );
    await Promise.all(tokens.map((token) => bearer(token, service).plans.listPlans({})));
    expect(server.requests).toBe(1);
  });

  test.each(['hangs up', 'garbage', 'status 500'] as const)(
    'count on while the server %s, which is logged once',
    async (broken) => {
      const server = await KeyServer.start(key);
      onTestFinished(() => server.stop());
      const { log, lines } = captureLog('debug');
      const service = await startHere([issuerOf({ url: server.url })], { log });
      await bearer(await key.sign(), service).plans.listPlans({});
      server.broken = broken;
      await service.service.reload();
      await service.service.reload();
      const outage = 'the keys of a token issuer cannot be fetched';
      expect(lines.filter(({ msg }) => msg === outage)).toHaveLength(1);
      // A token that is new.
      expect(await callerOf(bearer(await key.sign({ sub: 'new' }), service))).toBe('cluster:new');
      server.broken = null;
      await service.service.reload();
      expect(await callerOf(bearer(await key.sign({ sub: 'later' }), service))).toBe(
        'cluster:later',
      );
    },
  );

  test('count for a day while no others can be fetched', async () => {
    const server = await KeyServer.start(key);
    onTestFinished(() => server.stop());
    const issuer = { issuer: 'cluster', log, now: () => Date.now() };
    const { find } = new UrlKeys(new URL(server.url), issuer);
    const header = { alg: key.algorithm, kid: key.id };
    const token = { payload: '', signature: '' };
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    await find(header, token);
    server.broken = 'status 500';
    for (const pass of [11 * MINUTE, 12 * HOUR]) {
      vi.setSystemTime(Date.now() + pass);
      expect(await find(header, token)).toBeDefined();
    }
    expect(server.requests).toBe(3);
    vi.setSystemTime(Date.now() + 12 * HOUR);
    await expect(find(header, token)).rejects.toThrow('the status of the answer is 500');
  });

  test('that were never fetched: the caller is not known', async () => {
    const server = await KeyServer.start(key);
    onTestFinished(() => server.stop());
    server.broken = 'hangs up';
    const service = await startHere([issuerOf({ url: server.url })]);
    expect(await problemOf(await key.sign(), service)).toBe('KEYS_UNAVAILABLE');
    server.broken = null;
    await service.service.reload();
    expect(await callerOf(bearer(await key.sign(), service))).toBe('cluster:renderer');
  });
});

describe('keys in a file', () => {
  test('are rotated, and a broken file leaves them as they are', async () => {
    const file = await KeyFile.create(key);
    onTestFinished(() => file.remove());
    const { log, lines } = captureLog('debug');
    const service = await startHere([issuerOf({ file: file.file })], { log });
    const old = bearer(await key.sign(), service);
    expect(await callerOf(old)).toBe('cluster:renderer');
    const next = await TokenKey.create('next');

    await file.write('{"keys": [');
    await service.service.reload();
    await service.service.reload();
    const broken = 'the keys of a token issuer cannot be read; the previous ones stay in use';
    expect(lines.filter(({ msg }) => msg === broken)).toHaveLength(1);
    expect(await callerOf(old)).toBe('cluster:renderer');

    await file.write(JSON.stringify(await keySetOf(next)));
    await service.service.reload();
    expect((await errorOf(old.plans.listPlans({}))).metadata['problem']).toBe('TOKEN_KEY');
    expect(await callerOf(bearer(await next.sign(), service))).toBe('cluster:renderer');
  });

  test('are read again by themselves', async () => {
    const file = await KeyFile.create(key);
    onTestFinished(() => file.remove());
    const env = { TLS_RELOAD_INTERVAL_MS: '10' };
    const service = await startHere([issuerOf({ file: file.file })], { env });
    const old = bearer(await key.sign(), service);
    await old.plans.listPlans({});
    await file.write(JSON.stringify(await keySetOf(await TokenKey.create('next'))));
    const isServed = () =>
      old.plans.listPlans({}).then(
        () => true,
        () => false,
      );
    await expect.poll(isServed, { timeout: 60_000 }).toBe(false);
  });

  test.each([
    ['is missing', null],
    ['is garbage', 'garbage'],
    ['has no keys', '{}'],
  ])('keep the service from starting if the file %s', async (_, text) => {
    const file = await KeyFile.create(key);
    onTestFinished(() => file.remove());
    if (text !== null) await file.write(text);
    const path = text === null ? `${file.file}.none` : file.file;
    await expect(startHere([issuerOf({ file: path })])).rejects.toThrow(/jwks\.json/);
  });
});
