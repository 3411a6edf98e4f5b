/**
 * A journal in a directory that processes of one host share. Each process appends to a file of its own; a file
 * whose process has died is taken over by one of the others.
 *
 * A process listens on a socket beside its file for as long as it lives, and the system closes it however the
 * process ends. Names are never used again, so a process that is dead stays dead, and renaming its file decides
 * which one of several takes it over.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import { join, resolve } from 'node:path';
import { compactRecords } from './job-state.ts';
import type { Journal } from './journal.ts';
import { fromLine, type JournalRecord, toLine } from './journal-record.ts';

export type FileJournal = Journal & {
  /** Waits for what is being written, and removes the file if all its jobs have ended. */
  readonly close: () => Promise<void>;
};

/** A file is written anew, with only the jobs that have not ended, when it is this large and most of it is of others. */
const COMPACTION_BYTES = 1 << 20;
const GROWTH = 4;
/** Longest path of a socket on every system, nearly. */
const MAX_SOCKET_PATH = 100;
/** Mode of files that name accounts. */
const OWNER_ONLY = 0o600;
const FILE = '.journal';
const SOCKET = '.sock';

/**
 * Makes the directory if it is missing. It must be on a disk of this host: two hosts cannot see whether the
 * other one's processes live. Not for Windows.
 */
export async function openJournal(path: string): Promise<FileJournal> {
  const directory = resolve(path);
  const name = randomBytes(8).toString('hex');
  const socket = join(directory, name + SOCKET);
  const excess = Buffer.byteLength(socket) - MAX_SOCKET_PATH;
  if (excess > 0)
    throw new Error(`the path of the journal is ${excess} bytes too long: ${directory}`);
  await mkdir(directory, { recursive: true });
  // Before there is a file that somebody could take over.
  const server = await listen(socket);
  const file = new JournalFile(directory, name);
  await file.create();
  let takingOver: Promise<unknown> = Promise.resolve();
  return {
    write: (record, durable) => file.write(record, durable),
    takeOver() {
      // One after the other: a file that is still claimed is then one that could not be taken over.
      const taken = takingOver.then(() => takeOver(directory, name, file));
      takingOver = taken.catch(() => {});
      return taken;
    },
    async close() {
      await file.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function listen(socket: string): Promise<Server> {
  const server = createServer((connection) => connection.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // Exclusive: workers of a cluster would listen through their primary, and seem to live as long.
    server.listen({ path: socket, exclusive: true }, resolve);
  });
  server.on('error', () => {});
  server.unref();
  return server;
}

/** In doubt a process lives. */
function isAlive(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection({ path: socket });
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', ({ code }: NodeJS.ErrnoException) => {
      resolve(code !== 'ENOENT' && code !== 'ECONNREFUSED');
    });
  });
}

/** The records of dead processes, which are in this one's file before theirs is removed. */
async function takeOver(
  directory: string,
  self: string,
  own: JournalFile,
): Promise<readonly JournalRecord[]> {
  const taken: JournalRecord[] = [];
  for (const file of await readdir(directory)) {
    const [owner] = file.split('.');
    if (!owner || file === self + FILE || !file.endsWith(FILE)) continue;
    if (owner !== self && (await isAlive(join(directory, owner + SOCKET)))) continue;
    // A process that dies after this leaves a file of its own name.
    const claimed = join(directory, `${self}.${randomBytes(8).toString('hex')}${FILE}`);
    if (!(await renameIfThere(join(directory, file), claimed))) continue;
    const records = unfinished(await readFile(claimed, 'utf8'));
    await own.writeAll(records);
    await rm(claimed, { force: true });
    if (owner !== self) await removeRest(directory, owner);
    taken.push(...records);
  }
  return taken;
}

async function removeRest(directory: string, owner: string) {
  for (const rest of [owner + SOCKET, `${owner}.new`])
    await rm(join(directory, rest), { force: true });
}

async function renameIfThere(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** The records of the jobs that have not ended. */
function unfinished(text: string): readonly JournalRecord[] {
  const jobs = new Map<string, JournalRecord[]>();
  for (const line of text.split('\n')) {
    const record = fromLine(line);
    if (record) addRecord(jobs, record);
  }
  return [...jobs.values()].flatMap(compactRecords);
}

function addRecord(jobs: Map<string, JournalRecord[]>, record: JournalRecord) {
  if (record.type === 'end') jobs.delete(record.job);
  else if (jobs.has(record.job)) jobs.get(record.job)?.push(record);
  else jobs.set(record.job, [record]);
}

type Waiting = {
  readonly lines: string;
  readonly durable: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
};

/** Appends; what comes meanwhile is written and synchronized together. */
class JournalFile {
  readonly #directory: string;
  readonly #path: string;
  readonly #newPath: string;
  #handle: FileHandle | null = null;
  #bytes = 0;
  #compactAt = COMPACTION_BYTES;
  /** After an error nobody knows what the file has: it is written anew. */
  #isBroken = false;
  /** Records of jobs that have not ended. */
  readonly #jobs = new Map<string, JournalRecord[]>();
  #waiting: Waiting[] = [];
  #writing: Promise<void> | null = null;

  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#path = join(directory, name + FILE);
    this.#newPath = join(directory, `${name}.new`);
  }

  async create() {
    this.#handle = await open(this.#path, 'ax', OWNER_ONLY);
    await syncDirectory(this.#directory);
  }

  write(record: JournalRecord, durable: boolean): Promise<void> {
    return this.#append([record], durable);
  }

  writeAll(records: readonly JournalRecord[]): Promise<void> {
    return records.length === 0 ? Promise.resolve() : this.#append(records, true);
  }

  async close() {
    await this.#writing;
    await this.#handle?.close();
    this.#handle = null;
    if (this.#jobs.size === 0) await rm(this.#path, { force: true });
  }

  #append(records: readonly JournalRecord[], durable: boolean): Promise<void> {
    for (const record of records) addRecord(this.#jobs, record);
    const lines = records.map(toLine).join('');
    return new Promise((resolve, reject) => {
      this.#waiting.push({ lines, durable, resolve, reject });
      this.#writing ??= this.#writeWaiting();
    });
  }

  async #writeWaiting() {
    // What is appended in this turn goes together.
    await null;
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        await this.#writeGroup(group);
        for (const { resolve } of group) resolve();
      } catch (error) {
        this.#isBroken = true;
        for (const { reject } of group) reject(error);
      }
    }
    this.#writing = null;
  }

  async #writeGroup(group: readonly Waiting[]) {
    if (this.#isBroken || this.#bytes > this.#compactAt) return await this.#writeAnew();
    if (!this.#handle) throw new Error('the journal is closed');
    const bytes = Buffer.from(group.map(({ lines }) => lines).join(''));
    await this.#handle.appendFile(bytes);
    this.#bytes += bytes.length;
    if (group.some(({ durable }) => durable)) await this.#handle.datasync();
  }

  /** Has what waits, too: its records are among those of the jobs. */
  async #writeAnew() {
    if (!this.#handle) throw new Error('the journal is closed');
    for (const [job, records] of this.#jobs) this.#jobs.set(job, [...compactRecords(records)]);
    const bytes = Buffer.from([...this.#jobs.values()].flat().map(toLine).join(''));
    const handle = await open(this.#newPath, 'w', OWNER_ONLY);
    try {
      await handle.appendFile(bytes);
      await handle.datasync();
      await rename(this.#newPath, this.#path);
    } catch (error) {
      await handle.close();
      throw error;
    }
    const replaced = this.#handle;
    this.#handle = handle;
    this.#bytes = bytes.length;
    this.#compactAt = Math.max(COMPACTION_BYTES, bytes.length * GROWTH);
    await replaced.close();
    await syncDirectory(this.#directory);
    this.#isBroken = false;
  }
}

/** A new name outlives the machine only with its directory. */
async function syncDirectory(directory: string) {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
