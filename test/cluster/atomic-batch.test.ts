/** Atomic batches on two replicas, racing with each other and with single calls: all of their mutations, or none. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Scrip } from '../../src/client.ts';
import type { MutationResult } from '../../src/gen/billing/v1/billing_service.ts';
import { Entry_Kind, Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { defined, entriesOf } from '../accounts.ts';
import { errorIn } from '../rpc-error.ts';
import { requestId } from '../service.ts';
import { expectSoundLedger } from './audit.ts';
import { type Cluster, outcomeOf, startCluster, tally } from './cluster.ts';

const ROUNDS = 20;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(async () => {
  await expectSoundLedger(cluster.databaseUrl);
  await cluster.stop();
});

const charge = (accountId: string, credits: bigint, id = requestId()) => ({
  mutation: { $case: 'charge' as const, value: { accountId, requestId: id, credits } },
});
const give = (accountId: string, credits: bigint, id = requestId()) => {
  const value = { accountId, requestId: id, credits, reason: 'a test' };
  return {
    mutation: {
      $case: 'grantCredits' as const,
      value: { ...value, category: Grant_Category.ADJUSTMENT },
    },
  };
};
type BatchMutation = ReturnType<typeof charge> | ReturnType<typeof give>;

async function accountWith(credits: bigint): Promise<string> {
  const accountId = await cluster.a.open('verts');
  await cluster.a.billing.batch({ mutations: [give(accountId, credits)], atomic: true });
  return accountId;
}

const send = async ({ billing }: Scrip, mutations: readonly BatchMutation[]) =>
  (await billing.batch({ mutations: [...mutations], atomic: true })).results;

const isRefused = (results: readonly MutationResult[]): boolean => {
  const errors = results.filter(({ result }) => result?.$case === 'error');
  // All or none.
  expect([0, results.length]).toContain(errors.length);
  return errors.length > 0;
};
const reasons = (results: readonly MutationResult[]) =>
  results.map((result) =>
    result.result?.$case === 'error' ? errorIn(result).reason : result.result?.$case,
  );
const isReplayed = ({ result }: MutationResult): boolean =>
  result !== undefined && 'replay' in result.value && result.value.replay !== undefined;
const replayOf = ({ result }: MutationResult) =>
  result && { ...result, value: { ...result.value, replay: undefined } };

/** The places of a batch's entries in the history: null if there is none. */
function placesOf(history: ReadonlyMap<string, bigint>, mutations: readonly BatchMutation[]) {
  const seqs = mutations.map(({ mutation }) => history.get(mutation.value.requestId));
  if (seqs.every((seq) => seq === undefined)) return null;
  return seqs.map((seq) => seq ?? expect.fail('a part of a batch took effect'));
}

const historyOf = async (accountId: string): Promise<ReadonlyMap<string, bigint>> =>
  new Map((await entriesOf(cluster.b, accountId)).map(({ requestId: id, seq }) => [id, seq]));

describe('an atomic Batch sent to both replicas at once', () => {
  test('takes effect once, and both are answered alike', async () => {
    const accountId = await accountWith(1_000n);
    const rounds = Array.from({ length: ROUNDS }, async () => {
      const mutations = [charge(accountId, 7n), give(accountId, 3n), charge(accountId, 5n)];
      const [one, other] = await Promise.all(cluster.replicas.map((one) => send(one, mutations)));
      expect(reasons(defined(one))).toEqual(reasons(defined(other)));
      expect(defined(one).map(replayOf)).toEqual(defined(other).map(replayOf));
      const replays = [one, other].map((results) => defined(results).map(isReplayed));
      expect(replays.toSorted()).toEqual([Array(3).fill(false), Array(3).fill(true)]);
    });
    await Promise.all(rounds);
    const { balance } = await cluster.b.billing.getBalance({ accountId });
    expect(balance).toMatchObject({
      remaining: 1_000n - 9n * BigInt(ROUNDS),
      seq: 2n + 3n * BigInt(ROUNDS),
    });
  });
});

describe('atomic batches and single calls on both replicas', () => {
  test('spend what there is; no call sees a part of a batch', async () => {
    const accountId = await accountWith(200n);
    const batches = Array.from({ length: ROUNDS }, (_, round) => {
      const mutations = [charge(accountId, 11n), charge(accountId, 7n), give(accountId, 3n)];
      return { mutations, results: send(cluster.replicas[round % 2] as Scrip, mutations) };
    });
    const singles = Array.from({ length: 2 * ROUNDS }, (_, index) =>
      outcomeOf(
        (cluster.replicas[index % 2] as Scrip).billing.charge({
          ...{ accountId, requestId: requestId(), credits: 2n },
        }),
      ),
    );
    const charged = tally(await Promise.all(singles))['OK'] ?? 0;
    const ended = await Promise.all(
      batches.map(async ({ mutations, results }) => ({ mutations, results: await results })),
    );
    const history = await historyOf(accountId);
    let done = 0;
    for (const { mutations, results } of ended) {
      const places = placesOf(history, mutations);
      expect(places === null).toBe(isRefused(results));
      if (!places) {
        expect(reasons(results)).toContain('INSUFFICIENT_CREDITS');
        continue;
      }
      done += 1;
      const [first = 0n] = places;
      expect(places).toEqual([first, first + 1n, first + 2n]);
    }
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(ROUNDS);
    const { balance } = await cluster.a.billing.getBalance({ accountId });
    expect(balance?.remaining).toBe(200n - 15n * BigInt(done) - 2n * BigInt(charged));
  });

  test('under one request id: either the call is answered by the batch, or the batch does nothing', async () => {
    const accountId = await accountWith(1_000n);
    const ended = await Promise.all(
      Array.from({ length: ROUNDS }, async (_, round) => {
        const id = `job-${round}`;
        const [one, other] = round % 2 === 0 ? cluster.replicas : cluster.replicas.toReversed();
        const mutations = [charge(accountId, 1n), charge(accountId, 2n, id)];
        const [single, results] = await Promise.all([
          defined(one).billing.charge({ accountId, requestId: id, credits: 2n }),
          send(defined(other), mutations),
        ]);
        expect(single.credits).toBe(2n);
        const refused = isRefused(results);
        expect(refused).toBe(single.replay === undefined);
        if (refused) expect(reasons(results)).toEqual(['BATCH_REFUSED', 'REQUEST_ID_REUSED']);
        return refused ? 2n : 3n;
      }),
    );
    const { balance } = await cluster.a.billing.getBalance({ accountId });
    const spent = ended.reduce((sum, credits) => sum + credits, 0n);
    expect(balance?.remaining).toBe(1_000n - spent);
  });

  test('open an account with all that it is given, or not at all', async () => {
    const ended = await Promise.all(
      Array.from({ length: ROUNDS }, async (_, round) => {
        const accountId = `${requestId()}-${round}`;
        const open = (id: string) => ({
          mutation: {
            $case: 'openAccount' as const,
            value: { accountId, requestId: id, planId: 'verts' },
          },
        });
        const batches = cluster.replicas.map(async ({ billing }) => {
          const mutations = [open(requestId()), give(accountId, 5n), charge(accountId, 2n)];
          return (await billing.batch({ mutations, atomic: true })).results;
        });
        const results = await Promise.all(batches);
        const kinds = (await entriesOf(cluster.a, accountId)).map(({ kind }) => kind);
        expect(kinds).toEqual([Entry_Kind.OPEN_ACCOUNT, Entry_Kind.GRANT, Entry_Kind.CHARGE]);
        return results.map(isRefused).toSorted();
      }),
    );
    expect(ended).toEqual(Array(ROUNDS).fill([false, true]));
  });
});
