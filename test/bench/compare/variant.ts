/** One of the two compared versions: its code, settings and database, and how its service starts. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, query } from '../database.ts';
import { accounts, openAccounts, setBudgets } from '../ledger.ts';
import { type BenchServer, type Program, startService } from '../servers.ts';
import type { MutualTls } from './mutual-tls.ts';

/** A busy machine is no overload. */
const PATIENT = { WAIT_MAX_MS: '600000' };

export type Variant = {
  readonly name: 'A' | 'B';
  readonly label: string;
  readonly program: Program & { readonly checkout: string };
  readonly database: { readonly name: string; readonly url: string };
  /** With mutual TLS and a policy. Its accounts are opened without. */
  readonly mutualTls: MutualTls | null;
};

type Prepared = Omit<Variant, 'database'> & {
  /** Budgets of each account. */
  readonly budgets: number;
};

/** Creates the variant's database with its own migrations and opens the accounts through its service. */
export async function prepareVariant(
  postgres: Database,
  { name, label, program, mutualTls, budgets }: Prepared,
): Promise<Variant> {
  const database = `compare_${name.toLowerCase()}`;
  const url = await postgres.create(database);
  runScript(program.checkout, 'migrate', url);
  // An older checkout publishes its plans when its service starts.
  if (existsSync(join(program.checkout, 'src/cli/plans-publish.ts')))
    runScript(program.checkout, 'scrip', url, 'plans', 'publish');
  const service = await startService(url, { ...program, env: { ...PATIENT, ...program.env } });
  try {
    await openAccounts(service.address, Object.values(accounts), reasonFor(program.checkout));
    await setBudgets(service.address, Object.values(accounts), budgets);
  } finally {
    await service.stop();
  }
  // Autovacuum would do this at a moment of its own choosing.
  await query(url, 'vacuum analyze');
  return { name, label, program, mutualTls, database: { name: database, url } };
}

/** A checkout whose GrantCredits has no field for it refuses it. */
function reasonFor(checkout: string): string {
  const proto = join(checkout, 'proto/billing/v1/account_service.proto');
  return readFileSync(proto, 'utf8').includes('string reason = 11;') ? 'benchmark' : '';
}

export const startVariant = ({ database, program, mutualTls }: Variant): Promise<BenchServer> =>
  startService(database.url, {
    ...program,
    env: { ...PATIENT, ...program.env, ...mutualTls?.env },
  });

/** Runs a script of the checkout's package.json. */
function runScript(checkout: string, name: string, databaseUrl: string, ...args: string[]) {
  const { scripts } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'));
  execFileSync('sh', ['-c', [scripts[name], ...args].join(' ')], {
    cwd: checkout,
    env: { ...process.env, DATABASE_URL: databaseUrl },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
