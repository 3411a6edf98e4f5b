/**
 * What a product service does with Scrip. It prints one line for each scenario.
 *
 *     scenarios ACCOUNT_ID [NAME...]
 *
 * It exits with 1 if a call failed that should not, and with 2 if none could be made.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, InsufficientCredits, type Scrip, ScripError } from '@scrip/client';
import { connectOptions, type Settings, settingsFromEnvironment } from './settings.js';

/** An account, and who calls about it. */
type Account = { readonly id: string; readonly settings: Settings; readonly scrip: Scrip };

/** Resolves to its line. */
type Scenario = (account: Account) => Promise<string>;

/** The usages of an extraction from a document. */
const pages = (count: number) => ({
  items: [{ operation: 'extraction.result_per_file', quantities: { pages: count } }],
});

/** Why the service refuses a call. */
const reasonOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'none',
    (error) => (error instanceof ScripError ? error.reason : String(error)),
  );

/** The price of a job. It changes nothing. */
const estimate: Scenario = async ({ id, scrip }) => {
  const estimate = await scrip.billing.estimate({ accountId: id, usages: pages(3) });
  return `credits=${estimate.credits} sufficient=${estimate.sufficient}`;
};

/** A job whose reservation is kept alive while it runs. It is charged all of it. */
const reserve: Scenario = async ({ id, scrip }) => {
  const outcome = await scrip.withReservation(
    { account: id, usages: pages(4), ttlMs: 6_000 },
    async ({ reservationId, signal }) => {
      if (reservationId === null) throw new Error('the job runs without a reservation');
      // The work: it ends with the first heartbeat, after a third of the TTL.
      const kinds = ['KIND_EXTEND'] as const;
      for await (const entry of scrip.history(id, { kinds, follow: true, signal }))
        if (entry.reservationId === reservationId) break;
      const found = await scrip.billing.getReservation({ accountId: id, reservationId });
      return found.reservation?.held;
    },
  );
  return `held=${outcome.result} extended=true committed=${outcome.charged}`;
};

/** A job that is charged in parts. The end gives the rest back. */
const partialCommits: Scenario = async ({ id, scrip }) => {
  const outcome = await scrip.withReservation({ account: id, credits: 6n }, async (job) => {
    await job.use({ credits: 2n });
    await job.use({ credits: 1n });
    job.useAtEnd({ credits: 1n });
    return job.reservationId ?? '';
  });
  const name = { accountId: id, reservationId: outcome.result };
  const { reservation } = await scrip.billing.getReservation(name);
  return `committed=${reservation?.committed} returned=${reservation?.returned}`;
};

/** A job that fails gives back what it had reserved. */
const release: Scenario = async ({ id, scrip }) => {
  let reservationId = '';
  const job = scrip.withReservation({ account: id, credits: 5n }, (job) => {
    reservationId = job.reservationId ?? '';
    throw new Error('the job failed');
  });
  await job.catch(() => {});
  const found = await scrip.billing.getReservation({ accountId: id, reservationId });
  return `released=${found.reservation?.returned}`;
};

/** A refusal that says what to buy. */
const insufficientCredits: Scenario = async ({ id, scrip }) => {
  try {
    await scrip.billing.charge({ accountId: id, credits: 100n });
  } catch (error) {
    if (!(error instanceof InsufficientCredits)) throw error;
    const { reason, required, available, shortfall, bestOffer } = error;
    const { quantity, pack, price } = bestOffer ?? {};
    return [
      `reason=${reason} required=${required} available=${available} shortfall=${shortfall}`,
      `offer=${quantity}x${pack?.packId} price=${price?.amount}${price?.currency}`,
    ].join(' ');
  }
  throw new Error('the account has 100 credits');
};

/** The same request again, and then another one under its id. */
const replay: Scenario = async ({ id, scrip }) => {
  const request = { accountId: id, requestId: randomUUID(), credits: 1n };
  const first = await scrip.billing.charge(request);
  const again = await scrip.billing.charge(request);
  const other = await reasonOf(scrip.billing.charge({ ...request, credits: 2n }));
  const sameEntry = again.entrySeq === first.entrySeq;
  return `credits=${again.credits} replayed=${again.replay !== undefined} same_entry=${sameEntry} other=${other}`;
};

/** A charge whose answer is lost. The client repeats it under its id, until the timeout. */
const unknownOutcome: Scenario = async ({ id, scrip }) => {
  const request = { accountId: id, credits: 2n, reference: 'unknown-outcome' };
  const charge = await scrip.billing.charge(request, { timeoutMs: 12_000 });

  // A request that arrives after its notAfter has no effect. The client sets it by the clock of the service.
  const notAfter = new Date(scrip.now() - 60_000);
  const delayed = await reasonOf(scrip.billing.charge({ accountId: id, credits: 2n, notAfter }));
  return `credits=${charge.credits} replayed=${charge.replay !== undefined} delayed=${delayed}`;
};

/** A reservation that expires. Its job can still be charged within the grace period of the plan. */
const expiry: Scenario = async ({ id, scrip }) => {
  const ttl = { nanos: 100_000_000 };
  let { reservation } = await scrip.billing.reserve({ accountId: id, credits: 2n, ttl });
  const name = { accountId: id, reservationId: reservation?.reservationId ?? '' };
  while (reservation?.state === 'STATE_ACTIVE') {
    await sleep(50);
    ({ reservation } = await scrip.billing.getReservation(name));
  }
  const extension = scrip.billing.extendReservation({ ...name, ttl: { seconds: 60n } });
  const extend = await reasonOf(extension);
  const late = await scrip.billing.commit({ ...name, all: true });
  return `state=${reservation?.state} extend=${extend} committed=${late.committed} late=${late.reservation?.late}`;
};

/** Follows the entries, through a connection that breaks, up to its own charge. */
const history: Scenario = async ({ id, scrip }) => {
  const { balance } = await scrip.billing.getBalance({ accountId: id });
  const charge = { accountId: id, requestId: randomUUID(), credits: 1n, reference: 'history' };
  let last = 0n;
  for await (const entry of scrip.history(id, { follow: true })) {
    if (entry.seq !== last + 1n) throw new Error(`entry ${entry.seq} after entry ${last}`);
    last = entry.seq;
    if (last === balance?.seq) await scrip.billing.charge(charge);
    if (entry.requestId === charge.requestId)
      return `kind=${entry.kind} reference=${entry.reference}`;
  }
  throw new Error('the history ended');
};

/** Calls as the one whom the certificate names. */
const mutualTls: Scenario = async ({ id, settings }) => {
  if (settings.certFile === undefined) throw new Error('SCRIP_CERT_FILE is not set');
  return await callerOf(id, { ...settings, tokenFile: undefined });
};

/** Calls as the one whom the token names. */
const jwt: Scenario = async ({ id, settings }) => {
  if (settings.tokenFile === undefined) throw new Error('SCRIP_TOKEN_FILE is not set');
  return await callerOf(id, { ...settings, certFile: undefined, keyFile: undefined });
};

/** Makes a charge, and tells who made it by its entry. */
async function callerOf(accountId: string, settings: Settings): Promise<string> {
  const scrip = connect(connectOptions(settings));
  try {
    const { entrySeq } = await scrip.billing.charge({ accountId, credits: 1n });
    for await (const entry of scrip.history(accountId, { afterSeq: entrySeq - 1n }))
      return `caller=${entry.caller}`;
    throw new Error('the charge has no entry');
  } finally {
    scrip.close();
  }
}

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  estimate,
  reserve,
  'partial-commits': partialCommits,
  release,
  'insufficient-credits': insufficientCredits,
  replay,
  'unknown-outcome': unknownOutcome,
  expiry,
  history,
  'mutual-tls': mutualTls,
  jwt,
};

async function main([id, ...names]: readonly string[]): Promise<number> {
  if (id === undefined) {
    console.error('usage: scenarios ACCOUNT_ID [NAME...]');
    return 2;
  }
  let settings: Settings;
  let scrip: Scrip;
  try {
    settings = settingsFromEnvironment();
    // The certificate names the caller of all but the last.
    const { certFile, tokenFile } = settings;
    const caller = { ...settings, tokenFile: certFile === undefined ? tokenFile : undefined };
    scrip = connect(connectOptions(caller));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 2;
  }
  try {
    for (const [name, run] of Object.entries(SCENARIOS)) {
      if (names.length > 0 && !names.includes(name)) continue;
      const line = await run({ id, settings, scrip }).catch((error) => {
        console.error(`${name}: ${error}`);
      });
      if (line === undefined) return 1;
      console.log(`${name}: ${line}`);
    }
    return 0;
  } finally {
    scrip.close();
  }
}

process.exitCode = await main(process.argv.slice(2));
