/** Secrets that a test plants in a service, and searches for in whatever comes out of it. */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { SECRETS } from '../../src/secret-files.ts';
import { SECRET } from '../events/receiver.ts';
import { SECRET_KEY, WEBHOOK_SECRET } from '../payments/stripe-fake.ts';

/** With characters that are written in another way in a URL. */
export const PASSWORD = 'planted/pass word#1?';

/** A database URL with a user and the password; `user` and `password` need no escape. */
export const withPassword = (databaseUrl: string, user: string, password = PASSWORD): string =>
  Object.assign(new URL(databaseUrl), { username: user, password: encodeURIComponent(password) })
    .href;

export class PlantedSecrets {
  readonly #secrets = new Map<string, string>([
    ['the password of the database', PASSWORD],
    ['the password as it is in the URL', encodeURIComponent(PASSWORD)],
    ['the key of the payment provider', SECRET_KEY],
    ['the secret of its webhooks', WEBHOOK_SECRET],
    ['the secret of event deliveries', SECRET],
    ['its bytes', SECRET.slice('whsec_'.length)],
  ]);
  readonly #directory: string;

  static async create(): Promise<PlantedSecrets> {
    return new PlantedSecrets(await mkdtemp(join(tmpdir(), 'scrip-planted-')));
  }

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Searches for this one, too. */
  plant(name: string, secret: string): string {
    this.#secrets.set(name, secret);
    return secret;
  }

  /** Plants a private key: any line of it would be too much. */
  plantKey(name: string, pem: Buffer): Buffer {
    const lines = pem.toString().match(/[A-Za-z0-9+/=]{40,}/g) ?? [];
    // Of one long line also a part.
    for (const [index, line] of lines.entries())
      this.plant(`${name}, line ${index + 1}`, line.slice(0, 60));
    return pem;
  }

  /** Writes a file, and returns its path. */
  async file(name: string, content: string | Buffer): Promise<string> {
    const path = join(this.#directory, name);
    await writeFile(path, content, { mode: 0o600 });
    return path;
  }

  /** The environment with its secrets in files. */
  async inFiles(env: Readonly<Record<string, string>>): Promise<Record<string, string>> {
    const moved = { ...env };
    for (const name of SECRETS) {
      if (moved[name] === undefined) continue;
      moved[`${name}_FILE`] = await this.file(name, `${moved[name]}\n`);
      delete moved[name];
    }
    return moved;
  }

  /** Expects that there is text, and that it contains none of the secrets. */
  expectNoneIn(where: string, text: string) {
    expect(text, where).not.toBe('');
    const found = [...this.#secrets].filter(([, secret]) => text.includes(secret));
    expect(found.map(([name]) => name).join(', '), `secrets in ${where}`).toBe('');
  }

  remove(): Promise<void> {
    return rm(this.#directory, { recursive: true });
  }
}

/** A file of a process. Undefined when the process has ended. */
function readOfProcess(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * A running process, and all that it started, and they: their command lines, or their environments.
 * PostgreSQL starts and ends workers at any time, so one that ends meanwhile is left out.
 */
export function familyOf(pid: number, file: 'cmdline' | 'environ'): readonly string[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const stat = readOfProcess(Number(name), 'stat');
    if (stat === undefined) continue;
    parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
  }
  const family = new Set([pid]);
  for (let size = 0; size < family.size; ) {
    size = family.size;
    for (const [child, parent] of parents) if (family.has(parent)) family.add(child);
  }
  return [...family].flatMap((member) => readOfProcess(member, file) ?? []);
}
