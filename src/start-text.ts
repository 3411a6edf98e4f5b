/** What a start tells people at a terminal. Where nobody looks, the log has it. */
import { styleText } from 'node:util';
import type { Config } from './config.ts';
import type { SandboxInfo } from './sandbox/sandbox.ts';

type Format = Parameters<typeof styleText>[0];

const style = (format: Format, text: string): string =>
  styleText(format, text, { stream: process.stdout });

/** Prints what a start does next, with the time since its begin. */
export function startProgress(isTerminal: boolean): (step: string) => void {
  const startedAt = performance.now();
  return (step) => {
    if (!isTerminal) return;
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
    process.stdout.write(`${style('dim', `${seconds.padStart(5)} s`)}  ${step}\n`);
  };
}

type Listening = {
  readonly port: number;
  readonly adminPort: number | null;
  readonly sandbox?: SandboxInfo | null;
};

/** Where it listens, and what to type first. */
export function readyText(config: Config, { port, adminPort, sandbox }: Listening): string {
  const { HOST, ADMIN_HOST, CONSOLE } = config;
  const address = `${shown(HOST)}:${port}`;
  const admin = `http://${shown(ADMIN_HOST)}:${adminPort}`;
  const database = databaseText(config);
  const command = ['npx scrip account open acme --plan perfectparser', ...optionsFor(config, port)];
  return [
    '',
    style('bold', `Scrip is ready on ${address} (${database}).`),
    ...(sandbox ? ['', ...sandboxText(sandbox, optionsFor(config, port))] : []),
    '',
    `  gRPC     ${address}`,
    ...(adminPort !== null && CONSOLE ? [`  console  ${admin}/console/`] : []),
    ...(adminPort === null ? [] : [`  admin    ${admin}/metrics`]),
    `  try      ${style('cyan', command.join(' '))}`,
    `           ${style('cyan', 'npx scrip --help')}`,
    '',
    '',
  ].join('\n');
}

/** That it is one, and what only a sandbox can do. */
const sandboxText = (sandbox: SandboxInfo, options: readonly string[]): readonly string[] => {
  const command = ['npx scrip sandbox advance 1d', ...options].join(' ');
  return [
    style('yellow', 'SANDBOX: not for production. Its clock is moved by hand, and no money moves.'),
    '',
    `  time   ${new Date(sandbox.now()).toISOString()}; to move it: ${style('cyan', command)}`,
    `  pay    http://localhost:${sandbox.paymentsPort}, where checkouts lead, or npx scrip sandbox pay PURCHASE`,
  ];
};

const ANY = new Set(['0.0.0.0', '::', '127.0.0.1', '::1']);

const shown = (host: string): string => (ANY.has(host) ? 'localhost' : host);

/** What a terminal without the variables of this one needs. */
function optionsFor(config: Config, port: number): readonly string[] {
  const tls = config.TLS_CERT_FILE ? ['--ca CA_FILE'] : [];
  const mutual = config.TLS_CLIENT_CA_FILE ? ['--cert CERT_FILE --key KEY_FILE'] : [];
  const isDefault = port === 50_051 && shown(config.HOST) === 'localhost';
  const address = isDefault ? [] : [`--address ${shown(config.HOST)}:${port}`];
  return [...address, ...tls, ...mutual];
}

function databaseText({ CELLS_FILE, DATABASE_URL, DATA_DIRECTORY }: Config): string {
  if (CELLS_FILE) return `cells of ${CELLS_FILE}`;
  return DATABASE_URL ? 'database of DATABASE_URL' : `PostgreSQL in ${DATA_DIRECTORY}`;
}
