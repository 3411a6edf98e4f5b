/**
 * Reads from a data directory which PostgreSQL server runs in it. PostgreSQL itself writes `postmaster.pid` (one
 * value per line) and `postmaster.opts` (its command line) there, so two processes of ours find each other's
 * server without a lock file of their own.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export type Postmaster = {
  readonly pid: number;
  readonly port: number;
  /** It accepts connections; false while it starts, recovers or stops. */
  readonly isReady: boolean;
  /** The launcher that started it is gone, so nothing else will stop it. */
  readonly isOrphan: boolean;
};

/** `cluster_name` of our servers: `ps` shows it, and the next start reads the pid of the launcher from it. */
export function clusterName(launcherPid: number): string {
  return `scrip-launcher-${launcherPid}`;
}

/** The server that runs in a data directory; undefined if there is none, or only the files of a killed one. */
export async function readPostmaster(cluster: string): Promise<Postmaster | undefined> {
  const lines = (await readIfExists(join(cluster, 'postmaster.pid'))).split('\n');
  const pid = Number(lines[0]);
  if (!(await isRunning(pid, cluster))) return undefined;
  const state = lines[7]?.trim() ?? '';
  const options = await readIfExists(join(cluster, 'postmaster.opts'));
  const launcherPid = Number(/cluster_name=scrip-launcher-(\d+)/.exec(options)?.[1]);
  return {
    pid,
    port: Number(lines[3]),
    isReady: state === 'ready',
    // Before the server has written its state, the options are those of the server before it.
    isOrphan: state !== '' && !(await isRunning(launcherPid, dirname(cluster))),
  };
}

/**
 * Whether the pid is a process that was started with this argument. The pid alone proves nothing: a container
 * that restarts assigns the same few again, and under a pid 1 that reaps no orphans a killed process stays as a
 * zombie. Where there is no /proc (macOS) any process with this pid counts.
 */
export async function isRunning(pid: number, argument: string): Promise<boolean> {
  if (!isPidInUse(pid)) return false;
  if (process.platform !== 'linux') return true;
  return (await readIfExists(`/proc/${pid}/cmdline`)).split('\0').includes(argument);
}

export function isPidInUse(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: a process of another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Empty if there is no such file. ESRCH: the process ended between open and read of its /proc file. */
export async function readIfExists(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return '';
    throw error;
  });
}
