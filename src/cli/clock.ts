/** `clock status` and `clock accept`: what the clocks show, and an operator's word that the database is right. */
import { parseArgs } from 'node:util';
import {
  agreesWithHost,
  areClocksSuspect,
  type Clocks,
  readClocks,
} from '../clock/clock-comparison.ts';
import { insertAcceptance } from '../clock/clock-records.ts';
import { type Config, requireConfig } from '../config.ts';
import { findDatabase } from '../find-database.ts';
import { connectAsOwner } from '../pg/migrate.ts';
import { connect, type Em } from '../pg/orm.ts';
import { entities } from '../store/tables/index.ts';
import type { Command } from './command.ts';

/** Exit code where the clocks disagree. */
const CLOCKS_DISAGREE = 1;

export const clockStatus: Command = {
  usage: '',
  description:
    "Shows the database's clock, this machine's, and the time that the service trusted last. Exits with 1 " +
    'if they disagree.',
  run: (args) =>
    withDatabase(args, connectAsService, async (em, config) => {
      const clocks = await readClocks(em);
      process.stdout.write(textOf(clocks));
      return areClocksSuspect(clocks, config.CLOCK_SKEW_MAX_MS) ? CLOCKS_DISAGREE : 0;
    }),
};

export const clockAccept: Command = {
  usage: '',
  description:
    "Accepts the database's clock after a jump of more than a day, which replicas wait for. Compare the " +
    "times that it prints with a clock that you trust. Refuses if this machine's clock is another one.",
  run: (args) =>
    // The role of the service has no privilege to accept a time.
    withDatabase(args, connectAsOwner, async (em, config) => {
      const clocks = await readClocks(em);
      process.stdout.write(textOf(clocks));
      if (!agreesWithHost(clocks, config.CLOCK_SKEW_MAX_MS)) {
        process.stderr.write(
          'scrip: not accepted: the clocks of the database and of this machine disagree\n',
        );
        return CLOCKS_DISAGREE;
      }
      const at = await insertAcceptance(em, Date.now());
      process.stdout.write(`accepted: it is ${new Date(at).toISOString()}\n`);
      return 0;
    }),
};

function textOf({ database, host, heartbeat, acceptance }: Clocks): string {
  const lines = [
    `database     ${iso(database)}`,
    `this machine ${iso(host)}  ${lead(host - database)} the database`,
    heartbeat
      ? `trusted      ${iso(heartbeat.trusted)}  when the database had ${iso(heartbeat.database)}`
      : 'trusted      never: no replica has run yet',
    acceptance
      ? `accepted     ${iso(acceptance.databaseAt)}  by the clock of the database`
      : 'accepted     never',
  ];
  return `${lines.join('\n')}\n`;
}

const iso = (at: number): string => new Date(at).toISOString();

const lead = (ms: number): string =>
  `${Math.abs(Math.round(ms)) / 1_000} s ${ms < 0 ? 'behind' : 'ahead of'}`;

const connectAsService = (url: string, of: typeof entities, timeoutMs: number) =>
  connect(url, of, 1, timeoutMs);

async function withDatabase(
  args: string[],
  open: typeof connectAsService,
  run: (em: Em, config: Config) => Promise<number>,
): Promise<number> {
  parseArgs({ args });
  const config = requireConfig(process.env);
  const database = await findDatabase(config);
  try {
    const orm = await open(database.url, entities, config.DATABASE_TIMEOUT_MS);
    try {
      return await run(orm.em.fork(), config);
    } finally {
      await orm.close();
    }
  } finally {
    await database.close();
  }
}
