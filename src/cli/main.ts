/** `scrip <command>`, as a process. */
import { FAILED } from './exit-codes.ts';
import { run } from './run.ts';

// A reader such as `head` closes the pipe when it has read enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`scrip: the output cannot be written: ${error.code}\n`);
  process.exit(FAILED);
});
// Nobody reads what is said beside the output: that changes neither the output nor the exit code.
process.stderr.on('error', () => {});

await run(process.argv.slice(2));
