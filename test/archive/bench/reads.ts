/** What reads of archived entries take: the first of each opens files, and the median of several others. */
import type { Scrip } from '../../../src/client.ts';
import type { Load } from './load.ts';

const ROUNDS = 9;

export async function readAcross(scrip: Scrip, load: Load, print: (text: string) => void) {
  const [first] = load.samples;
  if (!first) return;
  const { accountId, traceId, commitRequestId, reservationId } = first;
  const trace = { accountId: '', pageSize: 10 };
  const reads: Readonly<Record<string, () => Promise<unknown>>> = {
    'page of 50, newest': () => scrip.billing.listEntries({ accountId, pageSize: 50 }),
    'page of 50, oldest': () =>
      scrip.billing.listEntries({ accountId, pageSize: 50, beforeSeq: 50n }),
    'whole history': async () => {
      for await (const _ of scrip.billing.streamHistory({ accountId }));
    },
    'past balance': () =>
      scrip.billing.getPastBalance({ accountId, point: { $case: 'seq', value: 20n } }),
    'past balance, by instant': () =>
      scrip.billing.getPastBalance({
        accountId,
        point: { $case: 'at', value: new Date(Date.UTC(2024, 6, 1)) },
      }),
    'trace of any account': () =>
      scrip.operator.traceCharge({ ...trace, id: { $case: 'traceId', value: traceId } }),
    'request of any account': () =>
      scrip.operator.traceCharge({ ...trace, id: { $case: 'requestId', value: commitRequestId } }),
    reservation: () => scrip.billing.getReservation({ accountId, reservationId }),
    'repetition, refused': () =>
      scrip.billing
        .commit({ accountId, requestId: commitRequestId, reservationId, credits: 7n })
        .then(
          () => Promise.reject(new Error('it was done again')),
          () => {},
        ),
  };
  print('\nreads (ms)                         first    median');
  for (const [name, read] of Object.entries(reads)) {
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const since = performance.now();
      await read();
      times.push(performance.now() - since);
    }
    const [opening = 0, ...others] = times;
    const median = others.toSorted((a, b) => a - b)[others.length >> 1] ?? 0;
    print(
      `  ${name.padEnd(28)}${opening.toFixed(1).padStart(10)}${median.toFixed(1).padStart(10)}`,
    );
  }
}
