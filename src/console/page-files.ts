/** The files of the page, as `npm run build:console` wrote them. They are read once: what is served is a known name. */
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

export type PageFile = {
  readonly type: string;
  readonly bytes: Buffer;
  readonly gzipped: Buffer;
};

export type PageFiles = {
  readonly index: PageFile;
  /** By name. The names contain hashes of the contents. */
  readonly assets: ReadonlyMap<string, PageFile>;
};

/** From `src/` as from `dist/`. */
export const PAGE_DIRECTORY = join(import.meta.dirname, '../../dist/console');

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
};

/** Null: there is no build. */
export async function readPageFiles(directory: string): Promise<PageFiles | null> {
  try {
    const names = await readdir(join(directory, 'assets'));
    const known = names.filter((name) => extname(name) in TYPES);
    const assets = await Promise.all(
      known.map(async (name) => [name, await read(join(directory, 'assets', name))] as const),
    );
    return { index: await read(join(directory, 'index.html')), assets: new Map(assets) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function read(path: string): Promise<PageFile> {
  const bytes = await readFile(path);
  const type = TYPES[extname(path)] ?? 'application/octet-stream';
  return { type, bytes, gzipped: await promisify(gzip)(bytes) };
}
