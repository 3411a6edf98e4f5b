/** `npm run scrip -- <command>`: what operators do from a terminal. */
import type { Command } from './command.ts';
import { plansCheck } from './plans-check.ts';
import { plansList } from './plans-list.ts';
import { plansPreview } from './plans-preview.ts';

const COMMANDS: Readonly<Record<string, Command>> = {
  'plans check': plansCheck,
  'plans list': plansList,
  'plans preview': plansPreview,
};

/** The command could not be carried out; 1 is a command's own, for an answer that is no. */
const FAILED = 2;

const usageOf = (name: string, { usage }: Command): string =>
  `npm run scrip -- ${name} ${usage}`.trimEnd();

function help(): string {
  const lines = Object.entries(COMMANDS).map(
    ([name, command]) => `  ${usageOf(name, command)}\n      ${command.says}`,
  );
  return `Commands:\n\n${lines.join('\n\n')}\n\nThey read the environment as the service does.\n`;
}

async function main(args: readonly string[]): Promise<number> {
  const name = args.slice(0, 2).join(' ');
  const command = COMMANDS[name];
  const wantsHelp = args.length === 0 || args.includes('--help') || args.includes('-h');
  if (wantsHelp) {
    const said = command ? `usage: ${usageOf(name, command)}\n${command.says}\n` : help();
    process.stdout.write(said);
    return 0;
  }
  if (!command) throw new Error(`there is no command "${name}"; --help lists them`);
  try {
    return await command.run(args.slice(2));
  } catch (error) {
    if (!isOfArguments(error)) throw error;
    throw new Error(`${error.message}; usage: ${usageOf(name, command)}`);
  }
}

const isOfArguments = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');

// Whoever reads the output has seen enough, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : FAILED);
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const { message, code } = error as Error & { code?: string };
  // A host with several addresses that all refuse is an error without a message.
  process.stderr.write(`scrip: ${message || code}\n`);
  process.exitCode = FAILED;
}
