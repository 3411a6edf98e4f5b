/** Where the anchors of a cell are. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Each of several cells has its anchors in a directory of its own, which is made. `cell` null: there is one. */
export async function anchorDirectoryOf(directory: string, cell: string | null): Promise<string> {
  if (cell === null) return directory;
  const own = join(directory, cell);
  await mkdir(own, { recursive: true });
  return own;
}
