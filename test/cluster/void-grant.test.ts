/** Voids of one grant, racing with the work that spends and gives back its credits, on two replicas. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { VoidGrantRequest_Returned } from '../../src/gen/billing/v1/account_service.ts';
import { Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId } from '../service.ts';
import { expectSoundLedger } from './audit.ts';
import { type Cluster, startCluster } from './cluster.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());

const CREDITS = 120n;
const ROUNDS = 12;

async function openWith(credits: bigint) {
  const accountId = await cluster.a.open('verts');
  const granted = { credits, category: Grant_Category.PAID, reason: 'a test' };
  await cluster.a.accounts.grantCredits({ accountId, requestId: requestId(), ...granted });
  return accountId;
}

const ok = async (call: Promise<unknown>): Promise<boolean> =>
  await call.then(
    () => true,
    () => false,
  );

test('of several voids at once one takes what is left, and the others change nothing', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const accountId = await openWith(CREDITS);
    const voids = Array.from({ length: 6 }, (_, index) =>
      (index % 2 === 0 ? cluster.a : cluster.b).accounts.voidGrant({
        ...{ accountId, requestId: requestId(), grantId: 1n, all: true, reason: 'a race' },
      }),
    );
    const ended = await Promise.allSettled(voids);
    expect(ended.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const lost = ended.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    for (const error of lost)
      expect((await errorOf(Promise.reject(error))).reason).toBe('GRANT_ENDED');
  }
  await expectSoundLedger(cluster.databaseUrl);
});

test('while jobs reserve, commit, release and charge, every credit is spent, voided or left', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const accountId = await openWith(CREDITS);
    const named = () => ({ accountId, requestId: requestId() });
    const job = async (index: number) => {
      const { billing } = index % 2 === 0 ? cluster.a : cluster.b;
      const reserved = await billing.reserve({ ...named(), credits: 15n }).catch(() => null);
      const reservationId = reserved?.reservation?.reservationId;
      if (!reservationId) return 0n;
      if (index % 3 === 0) {
        await billing.release({ ...named(), reservationId });
        return 0n;
      }
      const { committed } = await billing.commit({ ...named(), reservationId, credits: 5n });
      return committed;
    };
    const charge = async () =>
      (await ok(cluster.b.billing.charge({ ...named(), credits: 2n }))) ? 2n : 0n;
    const returned = VoidGrantRequest_Returned.VOID;
    const [spent] = await Promise.all([
      Promise.all([...Array.from({ length: 8 }, (_, index) => job(index)), charge(), charge()]),
      ok(cluster.a.accounts.voidGrant({ ...named(), grantId: 1n, credits: 20n, reason: 'some' })),
      ok(
        cluster.b.accounts.voidGrant({
          ...{ ...named(), grantId: 1n, all: true, returned, reason: 'all' },
        }),
      ),
    ]);
    const { grants } = await cluster.a.accounts.listGrants({ accountId });
    const { remaining = -1n, reserved, voided = 0n } = grants[0] ?? {};
    const consumed = spent.reduce((sum, credits) => sum + credits, 0n);
    expect(remaining + voided + consumed).toBe(CREDITS);
    // The void of all left nothing that could be spent: what came back after it is voided, too.
    expect([remaining, reserved]).toEqual([0n, 0n]);
  }
  await expectSoundLedger(cluster.databaseUrl);
});
