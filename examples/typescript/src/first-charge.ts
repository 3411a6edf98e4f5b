/**
 * Charges an account for one page extraction, and prints what is left.
 *
 *     first-charge ACCOUNT_ID [REQUEST_ID]
 *
 * It exits with 1 if the call failed, and with 2 if it could not be made.
 */
import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { connect, type Scrip, ScripError } from '@scrip/client';
import { connectOptions, settingsFromEnvironment } from './settings.js';

async function main(args: readonly string[]): Promise<number> {
  // One request id per job: the same id is never charged twice.
  const [accountId, requestId = randomUUID()] = args;
  if (accountId === undefined || args.length > 2) {
    console.error('usage: first-charge ACCOUNT_ID [REQUEST_ID]');
    return 2;
  }
  let scrip: Scrip;
  try {
    scrip = connect(connectOptions(settingsFromEnvironment()));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 2;
  }
  try {
    await firstCharge(scrip, accountId, requestId);
    return 0;
  } catch (error) {
    if (!(error instanceof ScripError)) throw error;
    printError(error);
    return 1;
  } finally {
    scrip.close();
  }
}

async function firstCharge(scrip: Scrip, accountId: string, requestId: string) {
  const charge = await scrip.billing.charge({
    accountId,
    requestId,
    usages: { items: [{ operation: 'extraction.result_per_file', quantities: { pages: 2 } }] },
  });
  console.log(`charged ${charge.credits} credits`);

  const { balance } = await scrip.billing.getBalance({ accountId });
  console.log(`${balance?.available} credits available`);
}

function printError({ code, message, reason, metadata }: ScripError) {
  console.error(`${status[code]}: ${message}`);
  if (reason === '') return;
  console.error(`reason=${reason}`);
  for (const key of Object.keys(metadata).sort()) console.error(`${key}=${metadata[key]}`);
}

process.exitCode = await main(process.argv.slice(2));
