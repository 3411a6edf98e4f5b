/**
 * Personal data of archived entries: they are encrypted with a key of their account, which stays in the database. To
 * erase the data of an account its key is deleted, so that no file is ever changed, and copies of files lose them too.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { EntryRow, RowValue } from './entry-row.ts';

/** The columns that `erase_entry` empties. */
const TEXTS = ['reference', 'personal'] as const;
const BYTES = ['salt', 'fingerprint', 'response'] as const;
export const PERSONAL_COLUMNS: readonly string[] = [...TEXTS, ...BYTES];

const CIPHER = 'aes-256-gcm';
export const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const NULL = 0xffff_ffff;

/** The personal columns of a row as one ciphertext; null where all are empty. */
export function sealPersonal(row: EntryRow, key: Uint8Array): Uint8Array | null {
  if (PERSONAL_COLUMNS.every((name) => row[name] === null)) return null;
  const cipher = createCipheriv(CIPHER, key, nonceOf(row.seq));
  const text = cipher.update(pack(PERSONAL_COLUMNS.map((name) => row[name] ?? null)));
  return Buffer.concat([text, cipher.final(), cipher.getAuthTag()]);
}

/** The personal columns again. Throws where the key is another, or the ciphertext was changed. */
export function openPersonal(
  sealed: Uint8Array,
  key: Uint8Array,
  seq: string,
): Readonly<Record<string, RowValue>> {
  const end = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, key, nonceOf(seq), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(end));
  const values = unpack(
    Buffer.concat([decipher.update(sealed.subarray(0, end)), decipher.final()]),
  );
  return Object.fromEntries(
    PERSONAL_COLUMNS.map((name, index) => {
      const bytes = values[index] ?? null;
      const isText = (TEXTS as readonly string[]).includes(name);
      return [name, bytes && isText ? bytes.toString('utf8') : bytes];
    }),
  );
}

/** A key encrypts each entry of its account once: the content of an entry never changes. */
function nonceOf(seq: string): Uint8Array {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeBigUInt64BE(BigInt(seq), NONCE_BYTES - 8);
  return nonce;
}

/** Each value with its length before it. */
const pack = (values: readonly RowValue[]): Buffer =>
  Buffer.concat(
    values.flatMap((value) => {
      const length = Buffer.alloc(4);
      const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
      length.writeUInt32BE(bytes instanceof Uint8Array ? bytes.length : NULL);
      return bytes instanceof Uint8Array ? [length, bytes] : [length];
    }),
  );

function unpack(packed: Buffer): readonly (Buffer | null)[] {
  const values: (Buffer | null)[] = [];
  for (let at = 0; at < packed.length; ) {
    const length = packed.readUInt32BE(at);
    at += 4;
    values.push(length === NULL ? null : packed.subarray(at, at + length));
    if (length !== NULL) at += length;
  }
  return values;
}
