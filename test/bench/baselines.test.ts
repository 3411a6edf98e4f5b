/** The benchmark's baselines write the service's tables: they must follow changes of the schema. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { connect } from '../../src/client.ts';
import { execute } from '../postgres.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { functionSource, installHandTuned } from './hand-tuned.ts';
import { accounts, openAccounts } from './ledger.ts';
import { accountId } from './load-spec.ts';
import { UPSCALE } from './requests.ts';
import { startTextbook } from './servers.ts';

const HOT = accountId(accounts.hot, 0);

let scrip: TestService;
let before: Record<string, unknown>;

beforeAll(async () => {
  scrip = await startTestService();
  await openAccounts(`127.0.0.1:${scrip.service.port}`, [accounts.hot]);
});
beforeEach(async () => {
  before = await readState();
});
afterAll(() => scrip.stop());

/** The account's state in every table that a reserve writes. */
async function readState(): Promise<Record<string, unknown>> {
  const [row] = await execute(
    scrip.databaseUrl,
    `select seq::int, reserved::int,
       (select sum(reserved)::int from grants where account_id = $1) as grants,
       (select count(*)::int from reservations where account_id = $1) as reservations,
       (select count(*)::int from history where account_id = $1 and kind = 'RESERVE') as entries,
       (select count(*)::int from history where account_id = $1 and method = 'Reserve') as requests
     from accounts where account_id = $1`,
    [HOT],
  );
  return row as Record<string, unknown>;
}

/** The state after one more reserve of 20 credits. */
const expectedState = () => {
  const number = (key: string) => Number(before[key]);
  return {
    seq: number('seq') + 1,
    reserved: number('reserved') + 20,
    grants: number('grants') + 20,
    reservations: number('reservations') + 1,
    entries: number('entries') + 1,
    requests: number('requests') + 1,
  };
};

test('textbook writes the rows of a reserve', async () => {
  const server = await startTextbook(scrip.databaseUrl, 2);
  const textbook = connect(server.address, { caller: 'bench' });
  try {
    const request = { accountId: HOT, requestId: requestId(), usages: { items: [UPSCALE] } };
    expect((await textbook.billing.reserve(request)).reservation).toMatchObject({ credits: 20n });
    expect(await readState()).toEqual(expectedState());
  } finally {
    textbook.close();
    await server.stop();
  }
});

test('hand-tuned writes the rows of a reserve', async () => {
  await installHandTuned(scrip.databaseUrl);
  const operation = { kind: 'function', accounts: accounts.hot, pool: 1 } as const;
  const source = await functionSource(scrip.databaseUrl, operation);
  try {
    await new Promise<void>((resolve, reject) => {
      source.start((_, error) => (error ? reject(error) : resolve()));
    });
    expect(await readState()).toEqual(expectedState());
  } finally {
    await source.close();
  }
});
