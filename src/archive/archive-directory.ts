/** Where the files of a cell are. */
import { join } from 'node:path';

export type ArchiveDirectories = {
  /** Where files are written, and looked for first. */
  readonly directory: string;
  /** Where files can be, too: those from the time when the cell was the only one. Null: nowhere else. */
  readonly earlierDirectory: string | null;
};

/** Each of several cells has its files in a directory of its own. `cell` null: there is one. */
export const archiveDirectoriesOf = (directory: string, cell: string | null): ArchiveDirectories =>
  cell === null
    ? { directory, earlierDirectory: null }
    : { directory: join(directory, cell), earlierDirectory: directory };
