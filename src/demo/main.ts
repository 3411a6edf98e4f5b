/**
 * `npm run demo`: runs the scenarios of the three tenants over gRPC, checks every figure, and audits the
 * ledger afterwards. Exits with 1 at the first wrong figure.
 */
import { parseArgs } from 'node:util';
import type { Scrip } from '../client.ts';
import { telemetry } from '../telemetry/sdk.ts';
import { NO_SUCH_ACCOUNT, type VerifyResult, verify } from '../verify/verify.ts';
import { asposeCloud } from './aspose-cloud.ts';
import { type FoundService, findService } from './find-service.ts';
import { perfectparser } from './perfectparser.ts';
import { formatTable } from './table.ts';
import { Tenant } from './tenant.ts';
import { verts } from './verts.ts';

const SCENARIOS = [
  { planId: 'aspose-cloud', title: 'Aspose Cloud', run: asposeCloud },
  { planId: 'perfectparser', title: 'PerfectParser', run: perfectparser },
  { planId: 'verts', title: 'Verts', run: verts },
];

/** Exit code of an interrupted command, by convention of the shells. */
const INTERRUPTED = 130;

const print = (text: string) => process.stdout.write(`${text}\n`);

/** Runs every scenario and returns the accounts that they used. */
async function runScenarios(scrip: Scrip): Promise<readonly string[]> {
  const accountIds: string[] = [];
  for (const { planId, title, run } of SCENARIOS) {
    const tenant = new Tenant(scrip, planId);
    accountIds.push(tenant.accountId);
    try {
      await run(tenant);
    } finally {
      // The steps that succeeded are printed even if the next one failed.
      print(`\n${title}, account ${tenant.accountId}\n\n${formatTable(tenant.lines)}`);
    }
  }
  return accountIds;
}

/** Audits the database. Throws at the first discrepancy. */
async function auditLedger(service: FoundService, accountIds: readonly string[]) {
  const database = await service.database();
  try {
    // First the accounts of the demo: if they are missing, this is not the service's database.
    for (const accountId of accountIds)
      requireOk(await verify(database.url, { accountId }), service);
    const startedAt = performance.now();
    const { accounts, entries } = requireOk(await verify(database.url), service);
    const ms = Math.round(performance.now() - startedAt);
    print(`\nverify: ok (${accounts} accounts, ${entries} entries, ${ms} ms)`);
  } finally {
    await database.close();
  }
}

function requireOk(result: VerifyResult, { description }: FoundService) {
  if (result.ok) return result;
  const [{ accountId, what } = { accountId: '', what: '' }] = result.discrepancies;
  const elsewhere =
    what === NO_SUCH_ACCOUNT
      ? ` in the database of DATABASE_URL or DATA_DIRECTORY: set them as for ${description}`
      : '';
  throw new Error(`verify: account ${accountId}: ${what}${elsewhere}`);
}

const USAGE = `usage: npm run demo -- [--address HOST:PORT]

Runs the workloads of three tenants, checks every figure, and audits the ledger: on a service that it starts for that,
with a temporary database. With --address it writes accounts into that service instead, for good; DATABASE_URL or
DATA_DIRECTORY must be as for that service.`;

/** Exit code of wrong usage. */
const WRONG_USAGE = 2;

/** Null: the usage was asked for. */
function readAddress(): string | undefined | null {
  const { values } = parseArgs({
    options: { address: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } },
  });
  return values.help ? null : values.address;
}

async function main(address: string | undefined) {
  const finding = findService(process.env, address);
  // The first interrupt cleans up before it exits; a second one does not wait.
  const interrupt = () =>
    void finding.then(({ close }) => close()).finally(() => process.exit(INTERRUPTED));
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const service = await finding;
  try {
    print(`The demo drives ${service.description}.`);
    const accountIds = await runScenarios(service.scrip);
    await auditLedger(service, accountIds);
  } finally {
    await service.close();
    await telemetry.shutdown();
  }
}

try {
  const address = readAddress();
  if (address === null) print(USAGE);
  else await main(address);
} catch (error) {
  const { message, code } = error as NodeJS.ErrnoException;
  const isUsage = code?.startsWith('ERR_PARSE_ARGS');
  process.stderr.write(`demo: ${message}${isUsage ? `\n${USAGE}` : ''}\n`);
  process.exitCode = isUsage ? WRONG_USAGE : 1;
}
