/** API keys of customers. Only their hashes are kept, so the file of keys lets nobody in who reads it. */
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';

type KeyRow = { readonly sha256: string; readonly account: string };

/** A key has 256 random bits: no hash can be searched for it, so a fast one will do. */
export const newKey = (): string => `sk_${randomBytes(32).toString('base64url')}`;

export const hashOf = (key: string): string => createHash('sha256').update(key).digest('hex');

/** The accounts that a file of keys lists, by the hash of their key. Throws if the file is not valid. */
export async function readKeys(file: string): Promise<ReadonlyMap<string, string>> {
  const rows: unknown = JSON.parse(await readFile(file, 'utf8'));
  if (!Array.isArray(rows) || !rows.every(isRow))
    throw new Error(`${file} is not a list of { "sha256": 64 hexadecimal digits, "account": id }`);
  return new Map(rows.map(({ sha256, account }) => [sha256, account]));
}

const isRow = (row: unknown): row is KeyRow => {
  const { sha256, account } = Object(row) as Record<string, unknown>;
  return (
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256) &&
    typeof account === 'string' &&
    /^[!-~]{1,128}$/.test(account)
  );
};

/** The account of the bearer key of a request; undefined if there is none. */
export function accountOf(
  authorization: string | undefined,
  keys: ReadonlyMap<string, string>,
): string | undefined {
  const [, key] = /^bearer +([!-~]{1,256})$/i.exec(authorization ?? '') ?? [];
  return key === undefined ? undefined : keys.get(hashOf(key));
}
