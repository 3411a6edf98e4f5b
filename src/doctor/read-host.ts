/** Reads what the doctor knows of the host that it runs on. */
import { existsSync, readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { totalmem } from 'node:os';
import type { Facts } from './facts.ts';

/** `folders` are those that the service writes to. */
export async function readHost(folders: readonly string[]): Promise<Facts['host']> {
  const disks = folders.filter((folder) => existsSync(folder)).map(readDisk);
  const limit = process.constrainedMemory();
  return {
    node: Number(process.versions.node.split('.')[0]),
    openFiles: readOpenFiles(),
    // A limit beyond the memory of the machine is none.
    memoryBytes: limit > 0 ? Math.min(limit, totalmem()) : totalmem(),
    disks: await Promise.all(disks),
  };
}

async function readDisk(path: string): Promise<Facts['host']['disks'][number]> {
  const { bsize, blocks, bavail } = await statfs(path);
  return { path, freeBytes: bsize * bavail, bytes: bsize * blocks };
}

/** Node raises its own limit to the hard one. */
function readOpenFiles(): number | null {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    const [, count = ''] = /^Max open files +(\S+)/m.exec(limits) ?? [];
    return count === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(count);
  } catch {
    return null;
  }
}
