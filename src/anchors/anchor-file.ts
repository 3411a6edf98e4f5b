/**
 * An anchor: the newest seq and hash of every account at one time, and the hashes of what was published, in a file that is kept
 * outside of the database.
 * What the ledger said up to then cannot be changed any more without a difference to the file, not even by
 * somebody who computes all hashes anew or erases an account.
 *
 * The file is gzip of lines of JSON: a header with the plans, a line `[account, seq, hash]` for each account in the order of ids,
 * and a footer with the root, which is the SHA-256 of all lines before it, and the signature of the root.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import type { PublicAnchorKey, SigningKey } from './anchor-key.ts';

const FORMAT = 'scrip anchor 1';

export type AnchoredAccount = {
  readonly accountId: string;
  readonly seq: bigint;
  readonly hash: Uint8Array;
};

/** The hashes of a plan and of its newest versions; each version's covers the one before it. */
export type AnchoredPlan = {
  readonly planId: string;
  /** The plan's own hash is another one once something was published. */
  readonly revision: number;
  readonly hash: string;
  readonly version: number;
  readonly versionHash: string;
  readonly rateCard: number;
  readonly rateCardHash: string;
};

/** What is known of a whole anchor. */
export type AnchorSummary = {
  readonly at: Date;
  readonly accounts: number;
  /** SHA-256 of the lines, in hex. */
  readonly root: string;
  /** See `keyIdOf`. */
  readonly keyId: string;
};

/** Writes the file. It has its name only when it is whole. */
export async function writeAnchorFile(
  file: string,
  at: Date,
  plans: readonly AnchoredPlan[],
  accounts: AsyncIterable<AnchoredAccount>,
  key: SigningKey,
): Promise<AnchorSummary> {
  const root = createHash('sha256');
  let count = 0;
  let summary: AnchorSummary | null = null;
  async function* lines() {
    const hashed = (value: unknown) => {
      const line = `${JSON.stringify(value)}\n`;
      root.update(line);
      return line;
    };
    yield hashed({ format: FORMAT, at: at.toISOString(), keyId: key.keyId, plans });
    for await (const { accountId, seq, hash } of accounts) {
      count += 1;
      yield hashed([accountId, String(seq), Buffer.from(hash).toString('hex')]);
    }
    summary = { at, accounts: count, root: root.digest('hex'), keyId: key.keyId };
    const signature = key.sign(summary.root).toString('base64');
    yield `${JSON.stringify({ accounts: count, root: summary.root, signature })}\n`;
  }
  const unfinished = `${file}.unfinished`;
  try {
    await pipeline(
      Readable.from(lines()),
      createGzip(),
      createWriteStream(unfinished, { flush: true }),
    );
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
  return summary as unknown as AnchorSummary;
}

/** What the end of an anchor has proven. */
export type ReadAnchor = {
  readonly summary: AnchorSummary;
  readonly plans: readonly AnchoredPlan[];
};

/** The file is not an anchor, or was changed, or is signed by another key. */
export class InvalidAnchor extends Error {}

/** Reads the file. Throws InvalidAnchor at its end at the latest: only then is anything of it proven. */
export async function* readAnchorFile(
  file: string,
  keys: readonly PublicAnchorKey[],
): AsyncGenerator<AnchoredAccount, ReadAnchor, void> {
  const root = createHash('sha256');
  let header: Header | null = null;
  let footer: Footer | null = null;
  let count = 0;
  for await (const line of linesOf(file)) {
    if (footer) throw new InvalidAnchor('it goes on after its end');
    const value = parse(line);
    if (!header) header = toHeader(value);
    else if (Array.isArray(value)) {
      count += 1;
      yield toAccount(value);
    } else {
      footer = toFooter(value);
      continue;
    }
    root.update(`${line}\n`);
  }
  if (!header || !footer) throw new InvalidAnchor('it is cut off');
  const computed = root.digest('hex');
  if (footer.root !== computed || footer.accounts !== count)
    throw new InvalidAnchor('its content is not what its root was computed of');
  const { keyId } = header;
  const key = keys.find((candidate) => candidate.keyId === keyId);
  if (!key) throw new InvalidAnchor(`it is signed by the key ${keyId}, which was not given`);
  if (!key.verifies(computed, Buffer.from(footer.signature, 'base64')))
    throw new InvalidAnchor(`its signature is not one of the key ${keyId}`);
  const summary = { at: new Date(header.at), accounts: count, root: computed, keyId };
  return { summary, plans: header.plans };
}

async function* linesOf(file: string): AsyncGenerator<string> {
  const text = createGunzip().setEncoding('utf8');
  createReadStream(file)
    .on('error', (error) => text.destroy(error))
    .pipe(text);
  let rest = '';
  try {
    for await (const piece of text) {
      const lines = `${rest}${piece}`.split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch (error) {
    throw new InvalidAnchor(`it cannot be read: ${(error as Error).message}`);
  }
  if (rest !== '') yield rest;
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new InvalidAnchor('it has a line that is not JSON');
  }
}

type Header = {
  readonly format: string;
  readonly at: string;
  readonly keyId: string;
  readonly plans: readonly AnchoredPlan[];
};
type Footer = { readonly accounts: number; readonly root: string; readonly signature: string };

function toHeader(value: unknown): Header {
  const header = value as Partial<Header> | null;
  if (header?.format !== FORMAT || !Array.isArray(header.plans))
    throw new InvalidAnchor(`it does not begin as a ${FORMAT}`);
  return header as Header;
}

function toAccount([accountId, seq, hash]: readonly unknown[]): AnchoredAccount {
  if (typeof accountId !== 'string' || !/^\d{1,18}$/.test(String(seq)) || typeof hash !== 'string')
    throw new InvalidAnchor('it has a line that is no account');
  return { accountId, seq: BigInt(String(seq)), hash: Buffer.from(hash, 'hex') };
}

function toFooter(value: unknown): Footer {
  const { root, signature } = (value ?? {}) as Partial<Footer>;
  if (typeof root !== 'string' || typeof signature !== 'string')
    throw new InvalidAnchor('it has a line that is no account');
  return value as Footer;
}
