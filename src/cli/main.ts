/** `npm run scrip -- <command>`: the command line for operators. */
import { anchorWrite } from './anchor.ts';
import { clockAccept, clockStatus } from './clock.ts';
import type { Command } from './command.ts';
import { plansCheck } from './plans-check.ts';
import { plansList } from './plans-list.ts';
import { plansPreview } from './plans-preview.ts';
import { plansPublish } from './plans-publish.ts';
import { plansStatus } from './plans-status.ts';
import { policyCheck } from './policy-check.ts';
import { policyExplain } from './policy-explain.ts';
import { purchasesMismatched } from './purchases-mismatched.ts';
import { purchasesResolve } from './purchases-resolve.ts';

const COMMANDS: Readonly<Record<string, Command>> = {
  'anchor write': anchorWrite,
  'clock accept': clockAccept,
  'clock status': clockStatus,
  'plans check': plansCheck,
  'plans list': plansList,
  'plans preview': plansPreview,
  'plans publish': plansPublish,
  'plans status': plansStatus,
  'policy check': policyCheck,
  'policy explain': policyExplain,
  'purchases mismatched': purchasesMismatched,
  'purchases resolve': purchasesResolve,
};

/** Exit code where a command could not run. Commands use 1 for a negative result. */
const FAILED = 2;

const usageOf = (name: string, { usage }: Command): string =>
  `npm run scrip -- ${name} ${usage}`.trimEnd();

function help(): string {
  const lines = Object.entries(COMMANDS).map(
    ([name, command]) => `  ${usageOf(name, command)}\n      ${command.description}`,
  );
  return `Commands:\n\n${lines.join('\n\n')}\n\nThey read the same environment variables as the service.\n`;
}

async function main(args: readonly string[]): Promise<number> {
  const name = args.slice(0, 2).join(' ');
  const command = COMMANDS[name];
  const wantsHelp = args.length === 0 || args.includes('--help') || args.includes('-h');
  if (wantsHelp) {
    const text = command ? `usage: ${usageOf(name, command)}\n${command.description}\n` : help();
    process.stdout.write(text);
    return 0;
  }
  if (!command) throw new Error(`there is no command "${name}"; --help lists the commands`);
  try {
    return await command.run(args.slice(2));
  } catch (error) {
    if (!isArgumentError(error)) throw error;
    throw new Error(`${error.message}; usage: ${usageOf(name, command)}`);
  }
}

const isArgumentError = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');

// A reader such as `head` closes the pipe when it has read enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : FAILED);
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const { message, code } = error as Error & { code?: string };
  // When every address of a host refuses the connection, Node's error has only a code.
  process.stderr.write(`scrip: ${message || code}\n`);
  process.exitCode = FAILED;
}
