/** The launcher process, as the service sees it. */
import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { extname, join } from 'node:path';
import { asOrdinaryUser } from './ordinary-user.ts';

export type Launcher = {
  /** PostgreSQL accepts connections. */
  readonly ready: Promise<'ready'>;
  /** The launcher and its server have ended, or the launcher could not be run at all. */
  readonly ended: Promise<'ended'>;
  /** Why it ended, in one line. */
  failure(): string;
  /** Closes the IPC channel; the launcher then stops PostgreSQL and exits. */
  stop(): void;
};

/** Runs in a session of its own: Ctrl-C in a terminal signals the service and not its database. */
export function spawnLauncher(directory: string): Launcher {
  // .ts in the sources, .js in the build.
  const path = join(import.meta.dirname, `launcher${extname(import.meta.filename)}`);
  const { program, args, ...user } = asOrdinaryUser(
    { program: process.execPath, args: [path, directory] },
    directory,
  );
  const child = spawn(program, args, {
    ...user,
    cwd: directory,
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // Without NODE_OPTIONS, PG* and the locale of this process, which would change how the server runs.
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
  });
  let errors = '';
  const stderr = child.stderr as Socket;
  stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  // Not the child's own 'close': after disconnect() on this side it never comes (Node 24.21).
  const stderrClosed = new Promise((resolve) => stderr.once('close', resolve));
  const ended = new Promise<'ended'>((resolve) => {
    child.once('exit', () => void stderrClosed.then(() => resolve('ended')));
    child.once('error', (error) => {
      errors += error.message;
      resolve('ended');
    });
  });
  const ready = new Promise<'ready'>((resolve) => {
    child.once('message', () => {
      // A process with nothing else to do may exit; the launcher then stops PostgreSQL.
      for (const handle of [child, child.channel, stderr]) handle?.unref();
      resolve('ready');
    });
  });
  const stop = (): void => {
    for (const handle of [child, stderr]) handle.ref();
    if (child.connected) child.disconnect();
  };
  return { ready, ended, stop, failure: () => failureOf(program, directory, errors.trim()) };
}

function failureOf(program: string, directory: string, errors: string): string {
  // Node prints its own failures as a stack trace, with the error on one of the lines.
  const lines = errors.split('\n');
  const line = lines.find((text) => /error|setpriv/i.test(text)) ?? lines.at(-1);
  if (program !== 'setpriv' || !line?.includes('setpriv')) return line || 'its launcher was killed';
  return (
    `PostgreSQL refuses to run as root, and no other user may enter ${directory} (${line}): ` +
    'clone to a directory that is open to everyone, or set DATABASE_URL'
  );
}
