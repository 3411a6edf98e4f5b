/** The REST edge answers the calls of the tenants' pages, as their curl lines make them. */
import '../../src/telemetry/sdk.ts';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry_Kind, Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { defined, entriesOf } from '../accounts.ts';
import { lockAccount } from '../disruptions.ts';
import { deliver, StripeFake } from '../payments/stripe-fake.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { type Answer, curl } from './curl.ts';
import { InstalledEdge } from './installed-edge.ts';

/** The lines of the pages of Verts, as they stand there. */
const BALANCE = `curl https://api.verts.dev/v1/account/credits \\
-H "Authorization: Bearer YOUR_API_KEY"`;
const HISTORY = `curl https://api.verts.dev/v1/account/credits/history \\
-H "Authorization: Bearer YOUR_API_KEY"`;
const CHECKOUT = `curl -X POST https://api.verts.dev/v1/billing/checkout \\
-H "Authorization: Bearer YOUR_API_KEY" \\
-H "Content-Type: application/json" \\
-d '{"pack_id": "standard"}'`;
/** The calls that the page of PerfectParser names: GET /v1/me and GET /v1/credits. */
const ME = 'curl https://api.perfectparser.com/v1/me -H "Authorization: Bearer YOUR_API_KEY"';
const CREDITS = ME.replace('/v1/me', '/v1/credits');

let stripe: StripeFake;
let scrip: TestService;
let edge: InstalledEdge;

const start = (timeoutMs = '20000') =>
  edge.start({
    SCRIP_ADDRESS: `127.0.0.1:${scrip.service.port}`,
    SUCCESS_URL: 'https://verts.dev/thanks',
    CANCEL_URL: 'https://verts.dev/billing',
    TIMEOUT_MS: timeoutMs,
  });

beforeAll(async () => {
  stripe = await new StripeFake().start();
  scrip = await startTestService({ env: stripe.env });
  stripe.clock = scrip.now;
  edge = await InstalledEdge.install();
  await edge.npm('run', 'new-key', '--', 'keys.json', 'nobody');
  await start();
});
afterAll(async () => {
  await edge.stop();
  await edge.remove();
  await scrip.stop();
  await stripe.stop();
});

type Customer = { readonly accountId: string; readonly key: string };

const keyOf = async (accountId: string): Promise<Customer> => {
  const key = await edge.npm('run', 'new-key', '--', 'keys.json', accountId);
  await edge.readKeysAgain();
  return { accountId, key };
};
const customerOf = async (planId: string) => keyOf(await scrip.open(planId));

/** The line of a page, sent to the edge with a key. */
const call = (line: string, { key }: { readonly key: string }, ...options: readonly string[]) =>
  curl(line.replace(/https:\/\/[\w.]+/, edge.url).replace('YOUR_API_KEY', key), ...options);

const grant = ({ accountId }: Customer, credits: bigint) =>
  scrip.accounts.grantCredits({
    accountId,
    requestId: requestId(),
    credits,
    category: Grant_Category.PAID,
    reason: 'test',
  });
type Amount = Omit<Parameters<TestService['billing']['charge']>[0], 'accountId' | 'requestId'>;
const charge = ({ accountId }: Customer, amount: Amount) =>
  scrip.billing.charge({ ...amount, accountId, requestId: requestId() });
const errorOf = ({ status, body }: Answer) => ({ status, ...(body as { error: object }).error });

describe('Verts', () => {
  test('a balance, as the page shows it', async () => {
    const customer = await customerOf('verts');
    await grant(customer, 4500n);
    expect(await call(BALANCE, customer)).toMatchObject({
      status: 200,
      body: { credits: 4500, low_balance_warning: false },
    });
  });

  test('below 500 credits the balance warns', async () => {
    const customer = await customerOf('verts');
    await grant(customer, 500n);
    expect((await call(BALANCE, customer)).body).toMatchObject({ low_balance_warning: false });
    await charge(customer, { credits: 1n });
    const body = { credits: 499, low_balance_warning: true };
    expect((await call(BALANCE, customer)).body).toEqual(body);
  });

  test('a balance has all its digits', async () => {
    const customer = await customerOf('verts');
    for (let part = 0; part < 10; part++) await grant(customer, 999_999_999_999_999n);
    const line = BALANCE.replace('YOUR_API_KEY', customer.key).replace(
      'https://api.verts.dev',
      edge.url,
    );
    const { headers } = await curl(line);
    expect(headers.get('content-length')).toBe(
      String('{"credits":9999999999999990,"low_balance_warning":false}'.length),
    );
  });

  test('the history has the newest transactions first, page by page', async () => {
    const customer = await customerOf('verts');
    await grant(customer, 100n);
    const usages = { items: [{ operation: 'file.inspect' }] };
    for (let job = 1; job <= 3; job++) await charge(customer, { usages, reference: `job-${job}` });
    const { body } = await call(HISTORY, customer);
    const { transactions, next_before: end } = body as History;
    expect(
      transactions.map(({ id, type, credits, balance }) => [id, type, credits, balance]),
    ).toEqual([
      [5, 'charge', 1, 97],
      [4, 'charge', 1, 98],
      [3, 'charge', 1, 99],
      [2, 'grant', 100, 100],
      [1, 'open_account', 0, 0],
    ]);
    expect(transactions[0]).toMatchObject({ operations: ['file.inspect'], reference: 'job-3' });
    expect(end).toBeNull();
    const pages: number[][] = [];
    for (let query = '?limit=2'; ; ) {
      const page = await call(HISTORY.replace('history', `history${query}`), customer);
      const { transactions, next_before } = page.body as History;
      pages.push(transactions.map(({ id }) => id));
      if (next_before === null) break;
      query = `?limit=2\\&before=${next_before}`;
    }
    expect(pages).toEqual([[5, 4], [3, 2], [1]]);
  });

  test('a checkout is paid and granted once', async () => {
    const customer = await customerOf('verts');
    const { status, body, headers } = await call(CHECKOUT, customer);
    const { purchase_id: purchaseId, ...rest } = body as { readonly purchase_id: string };
    const session = stripe.sessionOf(purchaseId);
    expect({ status, ...rest }).toEqual({
      status: 201,
      pack_id: 'standard',
      credits: 5000,
      price: '20.00 USD',
      checkout_url: session.url,
    });
    expect(headers.get('idempotency-key')).toMatch(/^[0-9a-f-]{36}$/);
    const paid = stripe.event('checkout.session.completed', stripe.pay(session.id));
    expect(await deliver(scrip.service.webhookPort, paid)).toBe(200);
    expect((await call(BALANCE, customer)).body).toMatchObject({ credits: 5000 });
  });

  test('a checkout under the same Idempotency-Key is the same', async () => {
    const customer = await customerOf('verts');
    const again = () => call(CHECKOUT, customer, '-H', 'Idempotency-Key: order-17');
    const [first, second] = [await again(), await again()];
    expect(second).toMatchObject({ status: 201, body: first.body });
    expect(first.headers.has('idempotent-replayed')).toBe(false);
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    const other = CHECKOUT.replace('standard', 'starter');
    expect(errorOf(await call(other, customer, '-H', 'Idempotency-Key: order-17'))).toMatchObject({
      status: 409,
      code: 'request_id_reused',
    });
  });

  test('the entries of a request are in its trace', async () => {
    const customer = await customerOf('verts');
    const traceId = randomUUID().replaceAll('-', '');
    await call(CHECKOUT, customer, '-H', `traceparent: 00-${traceId}-b7ad6b7169203331-01`);
    const entries = await entriesOf(scrip, customer.accountId);
    const { traceId: stored } = defined(entries.find(({ kind }) => kind === Entry_Kind.CHECKOUT));
    expect(stored).toBe(traceId);
  });

  test.each([
    ['a pack that nobody sells', '{"pack_id": "huge"}', 404, 'pack_not_found'],
    ['no pack', '{}', 400, 'invalid'],
    ['no JSON', 'standard', 400, 'invalid'],
  ])('%s', async (_, body, status, code) => {
    const line = CHECKOUT.replace('{"pack_id": "standard"}', body);
    expect(errorOf(await call(line, await customerOf('verts')))).toMatchObject({ status, code });
  });
});

describe('PerfectParser', () => {
  test('a new account has its 20 free credits', async () => {
    const customer = await customerOf('perfectparser');
    const { status, body } = await call(ME, customer);
    expect({ status, body }).toEqual({
      status: 200,
      body: { account: customer.accountId, credits: 20 },
    });
  });

  test('each purchase is shown with what is left of it and its own expiry', async () => {
    const customer = await customerOf('perfectparser');
    const { accountId } = customer;
    for (const packId of ['starter', 'small'])
      await scrip.billing.purchase({
        accountId,
        requestId: requestId(),
        packId,
        payment: { $case: 'paymentReference', value: `invoice-${packId}` },
      });
    await charge(customer, { credits: 30n });
    const { body } = await call(CREDITS, customer);
    expect(body).toMatchObject({
      credits: 340,
      reserved: 0,
      purchases: [
        { pack: 'Small', credits: 250, price: '39.00 USD' },
        { pack: 'Starter', credits: 100, price: '19.00 USD' },
      ],
    });
    const { purchases, other } = body as Breakdown;
    const rest = [...purchases, ...other].reduce((sum, { remaining }) => sum + remaining, 0);
    expect(rest).toBe(340);
    const [bought, expires] = [purchases[0]?.purchased_at, purchases[0]?.expires_at].map(
      (at) => new Date(at ?? ''),
    );
    expect(Number(expires?.getUTCFullYear()) - Number(bought?.getUTCFullYear())).toBe(1);
  });
});

type History = {
  readonly transactions: readonly {
    readonly id: number;
    readonly type: string;
    readonly credits: number;
    readonly balance: number;
  }[];
  readonly next_before: number | null;
};

type Breakdown = {
  readonly purchases: readonly {
    readonly remaining: number;
    readonly purchased_at: string;
    readonly expires_at: string;
  }[];
  readonly other: readonly { readonly remaining: number }[];
};

describe('keys', () => {
  test.each([
    ['no key', []],
    ['a key that nobody has', ['-H', 'Authorization: Bearer sk_other']],
    ['no bearer key', ['-H', 'Authorization: Basic c2s6']],
    ['an empty key', ['-H', 'Authorization: Bearer ']],
  ])('with %s nothing is shown', async (_, options) => {
    const answer = await curl(`curl ${edge.url}/v1/me`, ...options);
    expect(errorOf(answer)).toMatchObject({ status: 401, code: 'unknown_key' });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  test('the file has no key', async () => {
    const { key } = await customerOf('verts');
    expect(await readFile(join(edge.folder, 'keys.json'), 'utf8')).not.toContain(key);
  });

  test('the key of an account that does not exist', async () => {
    const answer = await call(ME, await keyOf(`missing-${randomUUID()}`));
    expect(errorOf(answer)).toMatchObject({ status: 404, code: 'account_not_found' });
  });
});

describe('while Scrip does not answer', () => {
  test('the outcome of a checkout is told by its Idempotency-Key', async () => {
    const customer = await customerOf('verts');
    await edge.stop();
    await start('1000');
    const unlock = await lockAccount(scrip.databaseUrl, customer.accountId);
    const answer = await call(CHECKOUT, customer);
    await unlock();
    expect(errorOf(answer)).toMatchObject({ status: 504, outcome: 'unknown' });
    await edge.stop();
    await start();
    const key = `Idempotency-Key: ${answer.headers.get('idempotency-key')}`;
    expect((await call(CHECKOUT, customer, '-H', key)).status).toBe(201);
    const { purchases } = await scrip.billing.listPurchases({ accountId: customer.accountId });
    expect(purchases).toHaveLength(1);
  });

  test('a call that is not there', async () => {
    const answer = await curl(`curl ${edge.url}/v1/other`);
    expect(errorOf(answer)).toMatchObject({ status: 404, code: 'not_found' });
  });

  test('it stops when it is told to', async () => {
    expect(await edge.stop()).toBe(0);
    await start();
  });
});
