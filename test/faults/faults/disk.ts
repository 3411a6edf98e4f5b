/** The file system of PostgreSQL is full: data, WAL and its log. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Fault } from '../fault.ts';

const run = promisify(execFile);
const SIZE = '400m';

async function mount(directory: string): Promise<() => Promise<void>> {
  await run('mount', ['-t', 'tmpfs', '-o', `size=${SIZE},mode=755`, 'tmpfs', directory]);
  return async () => void (await run('umount', ['--lazy', directory]));
}

export const diskFull: Fault = {
  name: 'disk-full',
  options: { prepare: mount, settings: { max_wal_size: '64MB', min_wal_size: '32MB' } },
  async unavailable() {
    if (process.getuid?.() !== 0) return 'only root may mount a small file system';
    const directory = await mkdtemp(join(tmpdir(), 'scrip-mount-'));
    try {
      await (await mount(directory))();
      return null;
    } catch (error) {
      return `a small file system cannot be mounted: ${(error as Error).message.trim()}`;
    } finally {
      await rmdir(directory);
    }
  },
  async inject({ directory, seconds, load }) {
    const ballast = join(directory, 'primary', 'ballast');
    // Fails when nothing is left, which is what it is for.
    await run('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=64k']).catch(() => {});
    await sleep(1_000 * seconds);
    await rm(ballast);
    if (!load.journal.errors.has('DATABASE_UNAVAILABLE'))
      throw new Error('no caller noticed that the disk is full');
  },
};
