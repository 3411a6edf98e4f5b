/** `clock status` and `clock accept`: what the clocks show, and an operator's word that the database is right. */
import type { Clocks } from '../clock/clock-comparison.ts';
import { command, exitWith } from './command.ts';
import { withDatabase } from './database.ts';
import { DIFFERENT } from './exit-codes.ts';

export const clockStatus = command('status', {
  description:
    "Shows the database's clock, this machine's, and the time that the service trusted last. Exits with 1 " +
    'if they disagree.',
  examples: [''],
}).action(
  exitWith(() =>
    withDatabase('service', async (em, config) => {
      const { areClocksSuspect, readClocks } = await import('../clock/clock-comparison.ts');
      const clocks = await readClocks(em());
      process.stdout.write(textOf(clocks));
      return areClocksSuspect(clocks, config.CLOCK_SKEW_MAX_MS) ? DIFFERENT : 0;
    }),
  ),
);

export const clockAccept = command('accept', {
  description:
    "Accepts the database's clock after a jump of more than a day, which replicas wait for. Compare the " +
    "times that it prints with a clock that you trust. Refuses if this machine's clock is another one.",
  examples: [''],
}).action(
  exitWith(() =>
    // The role of the service has no privilege to accept a time.
    withDatabase('owner', async (em, config) => {
      const { agreesWithHost, readClocks } = await import('../clock/clock-comparison.ts');
      const { insertAcceptance } = await import('../clock/clock-records.ts');
      const clocks = await readClocks(em());
      process.stdout.write(textOf(clocks));
      if (!agreesWithHost(clocks, config.CLOCK_SKEW_MAX_MS)) {
        process.stderr.write(
          'scrip: not accepted: the clocks of the database and of this machine disagree\n',
        );
        return DIFFERENT;
      }
      const at = await insertAcceptance(em(), Date.now());
      process.stdout.write(`accepted: it is ${new Date(at).toISOString()}\n`);
      return 0;
    }),
  ),
);

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
