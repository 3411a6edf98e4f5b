/** More work than the service can do, and the most expensive requests that it accepts. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ScripError } from '../../../src/client.ts';
import type { Fault } from '../fault.ts';
import type { Load } from '../load.ts';

const FLOOD_PER_SECOND = 3_000;
const FLOOD_DEADLINE_MS = 1_000;

/** Charges arrive at many times the capacity, which a slow database lowers. */
export const overload: Fault = {
  name: 'overload',
  async inject({ load, proxy, seconds }) {
    proxy.delayBy(20);
    await load.flood(FLOOD_PER_SECOND, 1_000 * seconds, FLOOD_DEADLINE_MS);
    proxy.delayBy(0);
  },
};

const USAGES_OF_CHARGE = 1_000;
const USAGES_OF_BATCH = 10_000;
const MUTATIONS_OF_BATCH = 1_000;

/** The largest requests that are accepted, four at a time, beside the load. */
export const expensiveMessages: Fault = {
  name: 'expensive-messages',
  async inject({ load, seconds }) {
    const until = performance.now() + 1_000 * seconds;
    const send = async (caller: number) => {
      for (let turn = caller; turn === caller || performance.now() < until; turn++) {
        if (turn % 3 === 0) await sendCharge(load, USAGES_OF_CHARGE, turn);
        else if (turn % 3 === 1)
          await sendBatch(load, USAGES_OF_BATCH / USAGES_OF_CHARGE, USAGES_OF_CHARGE, turn);
        else await sendBatch(load, MUTATIONS_OF_BATCH, 10, turn);
        await sleep(50);
      }
    };
    await Promise.all([0, 1, 2, 3].map(send));
  },
};

const INSPECT = { operation: 'file.inspect' };
const labels = new Map(
  Array.from({ length: 16 }, (_, index) => [`label-${index}`, 'x'.repeat(60)]),
);

function chargeOf(load: Load, usages: number) {
  const accountId = load.accountIds[usages % load.accountIds.length] ?? 'hot';
  const request = {
    accountId,
    requestId: randomUUID(),
    usages: { items: Array.from({ length: usages }, () => INSPECT) },
    labels,
  };
  const sent = load.journal.record({
    accountId,
    requestId: request.requestId,
    method: 'Charge',
    credits: BigInt(usages),
    send: (to, options) => to.billing.charge(request, options),
  });
  return { request, sent };
}

async function sendCharge(load: Load, usages: number, turn: number) {
  const { sent } = chargeOf(load, usages);
  const replica = load.replicas[turn % load.replicas.length];
  if (replica) await load.journal.send(sent, replica, { deadline: Date.now() + 30_000 });
}

/** The outcome of each mutation that was not answered is unknown. */
async function sendBatch(load: Load, mutations: number, usages: number, turn: number) {
  const charges = Array.from({ length: mutations }, () => chargeOf(load, usages));
  const replica = load.replicas[turn % load.replicas.length];
  try {
    const answer = await replica?.billing.batch(
      {
        mutations: charges.map(({ request }) => ({
          mutation: { $case: 'charge' as const, value: request },
        })),
      },
      { deadline: Date.now() + 60_000 },
    );
    for (const [index, { sent }] of charges.entries()) {
      const result = answer?.results[index]?.result;
      if (result?.$case === 'charge') sent.seq = result.value.entrySeq;
      else sent.wasUnknown = true;
    }
  } catch (error) {
    if (!(error instanceof ScripError)) throw error;
    load.journal.count(error);
    for (const { sent } of charges) sent.wasUnknown = true;
  }
}
