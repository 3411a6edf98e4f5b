/** Accounts that another replica has locked, as a unit of work meets them. */
import { trace } from '@opentelemetry/api';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect, type Orm } from '../../src/db/orm.ts';
import { Failure } from '../../src/failure.ts';
import { Lanes } from '../../src/lanes/lanes.ts';
import { unitOfWork } from '../../src/lanes/unit-of-work.ts';
import { Catalogue } from '../../src/store/catalogue.ts';
import type { WhereLocked } from '../../src/store/load.ts';
import { Tail } from '../../src/store/tail.ts';
import { origin, reserve } from '../ledger/fixtures.ts';
import { balanceOf, funded } from '../rpc/given.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';

let scrip: TestService;
let orm: Orm;
let lanes: Lanes;
/** The units of work that were run: how many requests each had, and what it did where locked. */
const units: [number, WhereLocked][] = [];

beforeAll(async () => {
  scrip = await startTestService();
  orm = await connect(scrip.databaseUrl, 4, 10_000);
  const em = () => orm.em.fork();
  const catalogue = new Catalogue(em);
  await catalogue.publish(await plansOfDeploy(), scrip.now());
  const context = {
    em,
    catalogue,
    clock: scrip.now,
    tracer: trace.getTracer('test'),
    tail: new Tail(em, 1_000),
    announced: () => {},
  };
  lanes = new Lanes(1, {
    run: (works, locked) => {
      units.push([works.length, locked]);
      return unitOfWork(context, works, locked);
    },
    unitsMax: 1,
    groupMax: 100,
    queueMax: 100,
    oneAccountPerUnit: false,
    onBug: (error) => {
      throw error;
    },
  });
});
afterAll(async () => {
  await lanes.close();
  await orm.close();
  await scrip.stop();
});

/** Reserves one credit; says the account, or the reason why not. */
async function reserveOn(accountId: string): Promise<string> {
  const answer = await lanes.submit({
    accountId,
    command: reserve(1n),
    origin: { ...origin, requestId: requestId() },
    fingerprint: new Uint8Array(),
    respond: () => Buffer.from(accountId),
    isAbandoned: () => false,
  });
  return answer instanceof Failure ? answer.reason : Buffer.from(answer.response).toString();
}

/** Locks an account as another replica's unit of work does; gives how to let go of it. */
async function lock(accountId: string): Promise<() => Promise<void>> {
  const client = new pg.Client(scrip.databaseUrl);
  await client.connect();
  await client.query('begin');
  await client.query('select 1 from accounts where account_id = $1 for no key update', [accountId]);
  return async () => {
    await client.query('commit');
    await client.end();
  };
}

describe('an account that another replica works on', () => {
  test('holds up no other account, and is served when it is free', async () => {
    const [locked, free] = [await funded(scrip, 10n), await funded(scrip, 10n)];
    const unlock = await lock(locked);
    units.length = 0;
    const later = reserveOn(locked);
    expect(await reserveOn(free)).toBe(free);
    expect(units[0]).toEqual([2, 'skip']);
    await unlock();
    expect(await later).toBe(locked);
    expect((await balanceOf(scrip, locked)).reserved).toBe(1n);
  });

  test('is waited for where there is nothing else to do', async () => {
    const locked = await funded(scrip, 10n);
    const unlock = await lock(locked);
    units.length = 0;
    const later = reserveOn(locked);
    await expect.poll(() => units).toEqual([[1, 'wait']]);
    await unlock();
    expect(await later).toBe(locked);
    expect(units).toHaveLength(1);
  });

  test('is no account that is not there', async () => {
    const [locked, free] = [await funded(scrip, 10n), await funded(scrip, 10n)];
    const unlock = await lock(locked);
    const later = reserveOn(locked);
    expect(await Promise.all([reserveOn('nobody'), reserveOn(free)])).toEqual([
      'ACCOUNT_NOT_FOUND',
      free,
    ]);
    await unlock();
    expect(await later).toBe(locked);
  });
});
