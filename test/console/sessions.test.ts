/** Signing in with a token, and what ends a session. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inSeconds, TokenKey, unsigned } from '../authentication/token-authority.ts';
import { Browser } from './browser-client.ts';
import { type SignedInService, startSignedIn } from './signed-in.ts';

const HOUR_MS = 3_600_000;
const RULES = '  - { prefix: "staff:", roles: [observer, operator] }';

let scrip: SignedInService;
beforeAll(async () => {
  scrip = await startSignedIn(RULES);
});
afterAll(() => scrip.stop());

const listed = async (browser: Browser) => {
  const { status, json } = await browser.rpc('PlanService/ListPlans', {});
  return status === 200 ? status : json.error.reason;
};

describe('who has not signed in', () => {
  test('is told so, and learns and does nothing', async () => {
    const browser = new Browser(scrip);
    expect(await browser.session()).toMatchObject({
      caller: null,
      signedIn: false,
      needsSignIn: true,
      canSignIn: true,
      canAct: false,
      methods: [],
      traceUrlTemplate: null,
    });
    expect(await listed(browser)).toBe('CONSOLE_SIGN_IN');
    expect((await browser.send({ path: '/console/api/live' })).status).toBe(401);
  });

  test.each([
    ['authorization', 'Bearer x'],
    ['x-caller', 'test'],
    ['x-on-behalf-of', 'test'],
  ])('is nobody by %s either', async (name, value) => {
    const browser = new Browser(scrip);
    const { status } = await browser.rpc('PlanService/ListPlans', {}, { [name]: value });
    expect(status).toBe(401);
  });

  test('is nobody by a token in the header, though it is good', async () => {
    const authorization = `Bearer ${await scrip.key.sign()}`;
    const { status } = await new Browser(scrip).rpc('PlanService/ListPlans', {}, { authorization });
    expect(status).toBe(401);
  });
});

describe('signing in', () => {
  test('gives a cookie that only the console gets, and no script', async () => {
    const browser = new Browser(scrip);
    const { status, headers, text } = await browser.signIn(await scrip.key.sign());
    expect([status, text]).toEqual([200, '{}']);
    const [cookie = '', ...others] = headers['set-cookie'] ?? [];
    expect(others).toEqual([]);
    expect(cookie).toMatch(
      /^scrip-console-\d+=[\w-]{43}; Path=\/console\/; Max-Age=\d+; HttpOnly; SameSite=Strict$/,
    );
    expect(cookie).toContain(`scrip-console-${browser.port}=`);
  });

  test('says who it was, and what they may', async () => {
    const browser = await scrip.browserOf('anna');
    const session = await browser.session();
    expect(session).toMatchObject({ caller: 'staff:anna', signedIn: true, needsSignIn: true });
    expect(session.methods).toContain('TraceCharge');
    expect(await listed(browser)).toBe(200);
  });

  test('takes a token with spaces around it', async () => {
    const { status } = await new Browser(scrip).signIn(`\n ${await scrip.key.sign()} \n`);
    expect(status).toBe(200);
  });

  test('behind a proxy with TLS the cookie is for TLS only', async () => {
    const origin = 'https://scrip.example.org';
    const proxied = await startSignedIn(RULES, { env: { CONSOLE_ORIGINS: origin } });
    const { headers } = await new Browser(proxied).send({
      method: 'POST',
      path: '/console/api/session',
      headers: { origin },
      body: JSON.stringify({ token: await proxied.key.sign() }),
    });
    expect(headers['set-cookie']?.[0]).toMatch(/; Secure$/);
    await proxied.stop();
  });

  test.each([
    ['no token', async () => '', 'CONSOLE_JSON'],
    ['words', async () => 'let me in', 'TOKEN_MALFORMED'],
    ['a header', async () => 'x\r\nx-caller: test', 'TOKEN_MALFORMED'],
    ['a token that nobody signed', async () => unsigned(), 'TOKEN_ALGORITHM'],
    ['another key', async () => (await TokenKey.create('one')).sign(), 'TOKEN_SIGNATURE'],
    ['an old token', async () => scrip.key.sign({ exp: inSeconds(-60) }), 'TOKEN_EXPIRED'],
    ['another audience', async () => scrip.key.sign({ aud: 'other' }), 'TOKEN_AUDIENCE'],
    ['8 KB', async () => 'x'.repeat(8_200), 'TOKEN_TOO_LONG'],
  ])('with %s fails', async (_, tokenOf, problem) => {
    const browser = new Browser(scrip);
    const { status, text, headers } = await browser.signIn(await tokenOf());
    const { error } = JSON.parse(text);
    expect(error.metadata.problem ?? error.reason).toBe(problem);
    expect(status).toBe(problem === 'CONSOLE_JSON' ? 400 : 401);
    expect(headers['set-cookie']).toBeUndefined();
    expect(await listed(browser)).toBe('CONSOLE_SIGN_IN');
  });

  test('that fails is in the log, with the address', () => {
    const denied = scrip.lines.filter((line) => line['method'] === 'console/sign-in');
    expect(denied.length).toBeGreaterThan(0);
    expect(denied[0]).toMatchObject({
      msg: 'denied',
      reason: 'CALLER_UNKNOWN',
      peer: '127.0.0.1',
    });
  });

  test.each([['{"token": 7}'], ['{"token": ["x"]}'], ['{}'], ['{"token": null}']])(
    '%s is refused',
    async (body) => {
      const sent = { method: 'POST', path: '/console/api/session', body };
      expect((await new Browser(scrip).send(sent)).status).toBe(400);
    },
  );
});

describe('a session', () => {
  test('that was set before is not taken over: its id is another afterwards', async () => {
    const browser = new Browser(scrip);
    const fixed = `scrip-console-${browser.port}=${'a'.repeat(43)}`;
    browser.cookie = fixed;
    expect((await browser.session()).signedIn).toBe(false);
    await browser.signIn(await scrip.key.sign());
    expect(browser.cookie).not.toBe(fixed);
    const attacker = new Browser(scrip);
    attacker.cookie = fixed;
    expect(await listed(attacker)).toBe('CONSOLE_SIGN_IN');
  });

  test('ends when its browser signs in again', async () => {
    const browser = await scrip.browserOf('anna');
    const before = new Browser(scrip);
    before.cookie = browser.cookie;
    expect(await listed(before)).toBe(200);
    await browser.signIn(await scrip.key.sign());
    expect(await listed(before)).toBe('CONSOLE_SIGN_IN');
    expect(await listed(browser)).toBe(200);
  });

  test('ends when its person signs out, and the cookie goes', async () => {
    const browser = await scrip.browserOf('anna');
    const copy = new Browser(scrip);
    copy.cookie = browser.cookie;
    const { status, headers } = await browser.send({
      method: 'DELETE',
      path: '/console/api/session',
    });
    expect(status).toBe(200);
    expect(headers['set-cookie']?.[0]).toMatch(/=; Path=\/console\/; Max-Age=0; HttpOnly/);
    expect(await listed(copy)).toBe('CONSOLE_SIGN_IN');
    expect((await copy.session()).signedIn).toBe(false);
  });

  test('of another id is none', async () => {
    const browser = await scrip.browserOf('anna');
    const other = new Browser(scrip);
    other.cookie = `${browser.cookie?.slice(0, -1)}${browser.cookie?.endsWith('A') ? 'B' : 'A'}`;
    expect(await listed(other)).toBe('CONSOLE_SIGN_IN');
    for (const value of ['', '""', '=', '__proto__', '%00']) {
      other.cookie = `scrip-console-${browser.port}=${value}`;
      expect(await listed(other)).toBe('CONSOLE_SIGN_IN');
    }
  });

  test('ends with its token, and after 8 hours', async () => {
    const own = await startSignedIn(RULES, { frozenAt: Date.now() });
    const short = await own.browserOf('short', { exp: inSeconds(1_800) });
    const long = await own.browserOf('long', { exp: inSeconds(86_400) });
    expect([await listed(short), await listed(long)]).toEqual([200, 200]);
    own.advance(HOUR_MS);
    expect([await listed(short), await listed(long)]).toEqual(['CONSOLE_SIGN_IN', 200]);
    expect(await short.session()).toMatchObject({ signedIn: false, caller: null });
    own.advance(7 * HOUR_MS);
    expect(await listed(long)).toBe('CONSOLE_SIGN_IN');
    await own.stop();
  });

  test('ends when the policy has its issuer no more, whoever x-caller would be', async () => {
    const own = await startSignedIn(RULES);
    const browser = await own.browserOf('anna');
    await own.usePolicyText('version: 1\ncallers: [{ prefix: "header:", roles: [operator] }]\n');
    expect(await listed(browser)).toBe('CONSOLE_SIGN_IN');
    expect(await browser.session()).toMatchObject({ needsSignIn: true, canSignIn: false });
    await own.stop();
  });
});

test('no token and no id of a session is in the log', async () => {
  const token = await scrip.key.sign({ sub: 'secretive' });
  const browser = new Browser(scrip);
  await browser.signIn(token);
  await listed(browser);
  await browser.rpc('BillingService/GetBalance', { accountId: 'missing' });
  await browser.send({ method: 'DELETE', path: '/console/api/session' });
  const log = JSON.stringify(scrip.lines);
  expect(log).toContain('signed in to the console');
  expect(log).toContain('staff:secretive');
  expect(log).not.toContain(token);
  for (const part of token.split('.').slice(1)) expect(log).not.toContain(part);
  expect(log).not.toContain(browser.cookie?.split('=')[1] ?? 'scrip-console-');
});
