/**
 * What a data directory says about the PostgreSQL that runs in it. PostgreSQL writes
 * `postmaster.pid` (one fact a line) and `postmaster.opts` (its command line) there itself, so two
 * of our processes can find each other's server with no lock file of our own.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export type Postmaster = {
  readonly pid: number;
  readonly port: number;
  /** It accepts connections; false while it starts, recovers or stops. */
  readonly ready: boolean;
  /** The launcher that started it is gone, so nothing will ever stop it. */
  readonly orphan: boolean;
};

/** `cluster_name` of our servers: shown by `ps`, and how the next start learns who owns the server. */
export function clusterName(launcherPid: number): string {
  return `scrip-launcher-${launcherPid}`;
}

/** The live server of a data directory; undefined if there is none, or only what a killed one left. */
export async function readPostmaster(cluster: string): Promise<Postmaster | undefined> {
  const facts = (await readIfThere(join(cluster, 'postmaster.pid'))).split('\n');
  const pid = Number(facts[0]);
  if (!(await isRunning(pid, cluster))) return undefined;
  const state = facts[7]?.trim() ?? '';
  const options = await readIfThere(join(cluster, 'postmaster.opts'));
  const launcherPid = Number(/cluster_name=scrip-launcher-(\d+)/.exec(options)?.[1]);
  return {
    pid,
    port: Number(facts[3]),
    ready: state === 'ready',
    // Until the server has written its state, the options are those of the one before it.
    orphan: state !== '' && !(await isRunning(launcherPid, dirname(cluster))),
  };
}

/**
 * Whether the pid is a process that was started with this argument. The pid alone proves nothing: a
 * container that restarts hands out the same few again, and under a pid 1 that reaps no orphans a
 * killed process stays as a zombie. Where there is no /proc (macOS) a live pid is believed.
 */
export async function isRunning(pid: number, argument: string): Promise<boolean> {
  if (!isTaken(pid)) return false;
  if (process.platform !== 'linux') return true;
  return (await readIfThere(`/proc/${pid}/cmdline`)).split('\0').includes(argument);
}

/** Whether any process has this pid; one of another user answers EPERM. */
export function isTaken(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Empty if there is no such file. ESRCH: the process ended between open and read of its /proc file. */
export async function readIfThere(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return '';
    throw error;
  });
}
