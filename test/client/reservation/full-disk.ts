/**
 * Writes to a journal whose file cannot grow beyond a limit, and prints what became of it:
 *
 *     sh -c "trap '' XFSZ; ulimit -f 2; exec node full-disk.ts DIRECTORY"
 */
import { openJournal } from '../../../clients/typescript/src/reservation/file-journal.ts';
import type { JournalRecord } from '../../../clients/typescript/src/reservation/journal-record.ts';

const [directory = ''] = process.argv.slice(2);
const journal = await openJournal(directory);
const start = (job: string): JournalRecord => ({
  type: 'reserve',
  job,
  account: 'acct',
  reference: '',
  at: '2026-11-09T10:30:00.000Z',
  request: 'cmVzZXJ2ZQ==',
});
const end = (job: string): JournalRecord => ({
  type: 'end',
  job,
  outcome: 'charged',
  charged: '1',
});

const written: string[] = [];
let failure = '';
for (let number = 0; failure === ''; number++) {
  const job = String(number);
  await journal.write(start(job), true).then(
    () => written.push(job),
    ({ code }) => {
      failure = code;
    },
  );
}
const failed = String(written.length);
// The disk is still full: only what ends makes room.
const second = await journal.write(start('another'), true).catch(({ code }) => code);
const ended = written.slice(1).map((job) => journal.write(end(job), false).catch(() => {}));
await Promise.all([
  ...ended,
  journal.write(end(failed), false),
  journal.write(end('another'), false),
]).catch(() => {});
await journal.write({ type: 'commit', job: '0', request: 'Y29tbWl0' }, true);
process.stdout.write(JSON.stringify({ written: written.length, failure, second }));
process.kill(process.pid, 'SIGKILL');
