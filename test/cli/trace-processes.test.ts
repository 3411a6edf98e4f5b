/** `scrip trace` as operators run it, against two replicas as processes: every id of a charge leads to its whole path. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Entry_Kind, Grant_Category } from '../../src/gen/billing/v1/ledger.ts';
import { defined } from '../accounts.ts';
import { named, newTrace } from '../operator/traced.ts';
import { createDatabase } from '../postgres.ts';
import { end, type Replica, startReplica } from '../process/replica.ts';
import { runScrip } from './run-scrip.ts';

const category = Grant_Category.PAID;

let a: Replica;
let b: Replica;
beforeAll(async () => {
  const env = {
    DATABASE_URL: await createDatabase(inject('postgresUrl')),
    SWEEP_INTERVAL_MS: '100',
  };
  a = await startReplica(env);
  b = await startReplica(env);
});
afterAll(async () => {
  for (const replica of [a, b]) if (replica) await end(replica);
});

async function openAccount(): Promise<string> {
  const accountId = `acct-${crypto.randomUUID()}`;
  await a.accounts.openAccount({ ...named(accountId), planId: 'verts' });
  await a.accounts.grantCredits({ ...named(accountId), credits: 100n, category, reason: 'test' });
  return accountId;
}

const addressOf = ({ port }: Replica): string => `127.0.0.1:${port}`;

/** Reserved on one replica; extended and committed in two parts on the other; partly refunded on the first. */
async function givenCharge() {
  const accountId = await openAccount();
  const reference = `job-${crypto.randomUUID()}`;
  const trace = newTrace();
  const requests: string[] = [];
  const call = () => {
    const made = named(accountId);
    requests.push(made.requestId);
    return made;
  };
  const { reservation } = await a.billing.reserve({ ...call(), credits: 10n, reference }, trace);
  const { reservationId } = defined(reservation);
  const ttl = { seconds: 7_200n };
  await b.billing.extendReservation({ ...call(), reservationId, ttl }, trace);
  await b.billing.commit({ ...call(), reservationId, credits: 4n, final: false }, trace);
  const { entrySeq } = await b.billing.commit({ ...call(), reservationId, credits: 5n }, trace);
  const refund = { ...call(), seq: entrySeq, credits: 2n, reason: 'a test' };
  const refunded = await a.billing.refund(refund, trace);
  return {
    trace: trace.traceId,
    reservation: reservationId,
    request: defined(requests[0]),
    'request of the refund': defined(requests.at(-1)),
    reference,
    entry: `${accountId}/${entrySeq}`,
    'entry of the refund': `${accountId}/${refunded.entrySeq}`,
  };
}

describe('A charge that two replicas served', () => {
  let ids: Awaited<ReturnType<typeof givenCharge>>;
  beforeAll(async () => {
    ids = await givenCharge();
  });

  test.each([
    'trace',
    'reservation',
    'request',
    'request of the refund',
    'reference',
    'entry',
    'entry of the refund',
  ] as const)('is found whole by its %s, on both', async (kind) => {
    const id = ids[kind];
    for (const replica of [a, b]) {
      const ran = await runScrip(['trace', id], { SCRIP_ADDRESS: addressOf(replica) });
      expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
      expect(ran.stdout).toContain(`found as ${kind.split(' ')[0]}\n`);
      expect(ran.stdout).toContain('\nhas ended; complete\n');
      const steps = [...ran.stdout.matchAll(/^[> ] .*Z {2}([A-Z]+(?: in part| of \d+)?)/gm)];
      expect(steps.map(([, step]) => step?.replace(/\d+/, 'SEQ'))).toEqual([
        'RESERVE',
        'EXTEND',
        'COMMIT in part',
        'COMMIT',
        'REFUND of SEQ',
      ]);
    }
  });
});

test('A reservation that the sweeper expired is found by the trace of its Reserve', async () => {
  const accountId = await openAccount();
  const trace = newTrace();
  const reserve = { ...named(accountId), credits: 10n, ttl: { seconds: 1n } };
  await a.billing.reserve(reserve, trace);
  const history = b.billing.streamHistory({ accountId, follow: true, kinds: [Entry_Kind.EXPIRE] });
  for await (const { entries } of history) if (entries.length > 0) break;
  const { exitCode, stdout } = await runScrip(['trace', trace.traceId], {
    SCRIP_ADDRESS: addressOf(b),
  });
  expect(exitCode).toBe(0);
  expect(stdout).toContain('\nhas expired; late commits are accepted until ');
  expect(stdout).toMatch(/^> .* RESERVE until /m);
  expect(stdout).toMatch(/ EXPIRE .* scrip\b/);
});
