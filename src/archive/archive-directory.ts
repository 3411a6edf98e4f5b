/** Where the files of a cell are. */
import { join } from 'node:path';

/** Each of several cells has its files in a directory of its own. `cell` null: there is one. */
export const archiveDirectoryOf = (directory: string, cell: string | null): string =>
  cell === null ? directory : join(directory, cell);
