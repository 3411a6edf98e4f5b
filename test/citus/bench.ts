/**
 * `npm run bench:citus`: Reserve on a cell of the cluster of CITUS_URL, next to the same on a plain database of the server that has
 * the cell: PAIRS adjacent windows, of which the median ratio counts. `-- SECONDS` is the length of a window.
 */

import { presentAddress } from '../../src/cells/citus-node.ts';
import { formatServer } from '../../src/cells/place-cell.ts';
import { migrate } from '../../src/pg/migrate.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { query } from '../bench/database.ts';
import { accounts, openAccounts } from '../bench/ledger.ts';
import { type LoadClient, startLoadClient } from '../bench/load-client.ts';
import { median } from '../bench/median.ts';
import { type BenchServer, startService } from '../bench/servers.ts';
import { deployedPlans } from '../bench/testbed.ts';
import { capture } from '../cli/in-process.ts';
import { createCells, workers } from './cluster.ts';

const PAIRS = 5;
/** A busy machine is no overload. */
const PATIENT = { WAIT_MAX_MS: '600000' };
const LEAST = 0.8;
const IN_FLIGHT = 64;
const PLAIN = 'scrip_bench_plain';
const [seconds = '10'] = process.argv.slice(2);

type Subject = { readonly name: string; readonly server: BenchServer };

async function main() {
  const client = startLoadClient();
  const subjects = [await startCell(), await startPlain()];
  try {
    for (const { server } of subjects) await openAccounts(server.address, [accounts.spread]);
    for (const subject of subjects) await perSecond(client, subject, 10);
    const ratios: number[] = [];
    for (let pair = 0; pair < PAIRS; pair++) {
      const [cell = 0, plain = 0] = await inTurn(client, subjects, pair);
      ratios.push(cell / plain);
      print(
        `cell ${Math.round(cell)}/s, plain ${Math.round(plain)}/s: ${(cell / plain).toFixed(2)}`,
      );
    }
    const ratio = median(ratios);
    print(`median ${ratio.toFixed(2)}, at least ${LEAST}: ${ratio >= LEAST ? 'met' : 'NOT MET'}`);
    if (ratio < LEAST) process.exitCode = 1;
  } finally {
    client.stop();
    for (const { server } of subjects) await server.stop();
  }
}

/** The first of a pair alternates, so that the order favours neither. */
async function inTurn(client: LoadClient, subjects: readonly Subject[], pair: number) {
  const order = pair % 2 === 0 ? subjects : subjects.toReversed();
  const measured = new Map<Subject, number>();
  for (const subject of order)
    measured.set(subject, await perSecond(client, subject, Number(seconds)));
  return subjects.map((subject) => measured.get(subject));
}

async function perSecond(client: LoadClient, { server }: Subject, length: number): Promise<number> {
  const result = await client.run({
    operation: { kind: 'reserve', accounts: accounts.spread },
    addresses: [server.address],
    inFlight: IN_FLIGHT,
    warmUpMs: 1_000,
    durationMs: length * 1_000,
  });
  return result.operations / result.seconds;
}

async function startCell(): Promise<Subject> {
  const { file, cells } = await createCells('one');
  const [worker] = await workers();
  const [cell] = cells;
  if (!worker || !cell) throw new Error('the cluster has no server');
  await capture(['cells', 'place', 'one', formatServer(worker)], { CELLS_FILE: file });
  await publishAt((await presentAddress(cell)).url, await deployedPlans(), Date.now());
  return {
    name: 'cell',
    server: await startService('', { env: { CELLS_FILE: file, ...PATIENT } }),
  };
}

/** On the server that has the cell, with the same settings. */
async function startPlain(): Promise<Subject> {
  const [worker] = await workers();
  const admin = new URL(process.env['CITUS_URL'] ?? '');
  Object.assign(admin, { hostname: worker?.host, port: String(worker?.port) });
  await query(admin.href, `drop database if exists ${PLAIN} with (force)`);
  await query(admin.href, `create database ${PLAIN}`);
  const url = Object.assign(new URL(admin), { pathname: `/${PLAIN}` }).href;
  await migrate(url);
  await publishAt(url, await deployedPlans(), Date.now());
  return { name: 'plain', server: await startService(url, { env: PATIENT }) };
}

const print = (line: string) => void process.stdout.write(`${line}\n`);

await main();
