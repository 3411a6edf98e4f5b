import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type Orm } from '../../src/pg/orm.ts';
import { CustomPacks } from '../../src/queries/custom-packs.ts';
import { entities } from '../../src/store/tables/index.ts';
import { requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
let orm: Orm;
beforeAll(async () => {
  scrip = await startTestService();
  orm = await connect(scrip.databaseUrl, entities, 2, 10_000);
});
afterAll(async () => {
  await orm.close();
  await scrip.stop();
});

async function openWithPack(packId: string): Promise<string> {
  const accountId = await scrip.open('verts');
  const price = { currency: 'USD', amount: '1.00' };
  const pack = { packId, title: packId, credits: 10n, price };
  await scrip.accounts.offerPack({ accountId, requestId: requestId(), pack });
  return accountId;
}

test('custom packs that are asked for at the same time are read with one query', async () => {
  let queries = 0;
  const packs = new CustomPacks(() => {
    queries += 1;
    return orm.em.fork();
  });
  const [one, other] = [await openWithPack('one'), await openWithPack('other')];
  const asked = [one, other, one, await scrip.open('verts')];
  const idsOf = async (accountId: string) =>
    (await packs.find(accountId)).map(({ packId }) => packId);
  expect(await Promise.all(asked.map(idsOf))).toEqual([['one'], ['other'], ['one'], []]);
  expect(queries).toBe(1);
  expect(await idsOf(other)).toEqual(['other']);
  expect(queries).toBe(2);
});
