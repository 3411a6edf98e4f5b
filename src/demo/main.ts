/**
 * `npm run demo`: the workloads of the three tenants over gRPC, every figure checked, and an audit of
 * the books they left. Exits with 1 at the first figure that is wrong.
 */
import type { Scrip } from '../client.ts';
import { telemetry } from '../telemetry.ts';
import { NO_SUCH_ACCOUNT, type VerifyResult, verify } from '../verify/verify.ts';
import { asposeCloud } from './aspose-cloud.ts';
import { type FoundService, findService } from './find-service.ts';
import { perfectparser } from './perfectparser.ts';
import { table } from './table.ts';
import { Tenant } from './tenant.ts';
import { verts } from './verts.ts';

const SCENARIOS = [
  { planId: 'aspose-cloud', title: 'Aspose Cloud', play: asposeCloud },
  { planId: 'perfectparser', title: 'PerfectParser', play: perfectparser },
  { planId: 'verts', title: 'Verts', play: verts },
];

/** Exit code after an interrupt, as shells have it. */
const INTERRUPTED = 130;

const say = (text: string) => process.stdout.write(`${text}\n`);

/** Plays every scenario, and answers the accounts they used. */
async function playAll(scrip: Scrip): Promise<readonly string[]> {
  const accountIds: string[] = [];
  for (const { planId, title, play } of SCENARIOS) {
    const tenant = new Tenant(scrip, planId);
    accountIds.push(tenant.accountId);
    try {
      await play(tenant);
    } finally {
      // What went well is shown even where the next step did not.
      say(`\n${title}, account ${tenant.accountId}\n\n${table(tenant.lines)}`);
    }
  }
  return accountIds;
}

/** Recomputes every balance of the database from its entries; throws where one does not agree. */
async function closeTheBooks(service: FoundService, accountIds: readonly string[]) {
  const database = await service.database();
  try {
    // First the accounts of the demo: if they are not there, it is not the service's database.
    for (const accountId of accountIds) agreed(await verify(database.url, { accountId }), service);
    const startedAt = performance.now();
    const { accounts, entries } = agreed(await verify(database.url), service);
    const ms = Math.round(performance.now() - startedAt);
    say(`\nverify: ok (${accounts} accounts, ${entries} entries, ${ms} ms)`);
  } finally {
    await database.close();
  }
}

function agreed(result: VerifyResult, { described }: FoundService) {
  if (result.ok) return result;
  const [{ accountId, what } = { accountId: '', what: '' }] = result.discrepancies;
  const elsewhere =
    what === NO_SUCH_ACCOUNT
      ? ` in the database of DATABASE_URL or DATA_DIRECTORY: set them as for ${described}`
      : '';
  throw new Error(`verify: account ${accountId}: ${what}${elsewhere}`);
}

async function main() {
  const finding = findService(process.env);
  // Interrupted, it still leaves nothing behind; a second interrupt does not wait for that.
  const interrupt = () =>
    void finding.then(({ close }) => close()).finally(() => process.exit(INTERRUPTED));
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const service = await finding;
  try {
    say(`The demo drives ${service.described}.`);
    const accountIds = await playAll(service.scrip);
    await closeTheBooks(service, accountIds);
  } finally {
    await service.close();
    await telemetry.shutdown();
  }
}

await main().catch((error: unknown) => {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
