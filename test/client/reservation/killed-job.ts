/**
 * A process that runs one job and kills itself at its n-th step: before or after a write to the journal, or
 * before, during or after a call. It prints how many steps there are if it reaches the end.
 *
 *     node killed-job.ts ADDRESS DIRECTORY ACCOUNT succeeds|fails|unreserved N
 */
import { connect, openJournal } from '../../../clients/typescript/src/index.ts';
import type { Journal } from '../../../clients/typescript/src/reservation/journal.ts';
import { withReservation } from '../../../clients/typescript/src/reservation/with-reservation.ts';
import { faultyCalls, lost } from './faulty-calls.ts';

const [address = '', directory = '', account = '', scenario = '', at = ''] = process.argv.slice(2);
let steps = 0;

function step() {
  if (++steps === Number(at)) process.kill(process.pid, 'SIGKILL');
}

/** The request is on its way, or already answered. */
function stepSoon() {
  steps++;
  if (steps === Number(at)) setImmediate(() => process.kill(process.pid, 'SIGKILL'));
}

const file = await openJournal(directory);
const journal: Journal = {
  takeOver: file.takeOver,
  async write(record, durable) {
    step();
    await file.write(record, durable);
    step();
  },
};

const scrip = connect({ address, caller: 'test' });
let isUnreserved = scenario === 'unreserved';
const billing = faultyCalls(scrip.billing, (method, moment) => {
  step();
  if (moment === 'before') stepSoon();
  if (isUnreserved && method === 'reserve' && moment === 'after') throw lost();
});

const options = {
  account,
  credits: 10n,
  journal,
  unreserved: {
    credits: 10n,
    onRun: () => {
      isUnreserved = false;
    },
  },
};
await withReservation(billing, options, async (job) => {
  await job.use({ credits: 2n });
  step();
  if (scenario === 'fails') throw new Error('failed');
  job.useAtEnd({ credits: 3n });
}).catch((error) => {
  if (error.message !== 'failed') throw error;
});
scrip.close();
await file.close();
process.stdout.write(`${steps}\n`);
