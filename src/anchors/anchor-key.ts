/** The keys that sign anchors: Ed25519, in PEM files. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { readFile } from 'node:fs/promises';

export type SigningKey = {
  readonly keyId: string;
  readonly sign: (root: string) => Buffer;
};

export type PublicAnchorKey = {
  readonly keyId: string;
  readonly verifies: (root: string, signature: Uint8Array) => boolean;
};

/** Reads the private key. Throws if the file has none, or one of another kind. */
export async function readSigningKey(file: string): Promise<SigningKey> {
  const key = createPrivateKey(await readFile(file));
  checkKind(key, file);
  return {
    keyId: keyIdOf(createPublicKey(key)),
    sign: (root) => sign(null, Buffer.from(root), key),
  };
}

/** Reads a public key, or the public part of a private one. */
export async function readPublicKey(file: string): Promise<PublicAnchorKey> {
  const key = createPublicKey(await readFile(file));
  checkKind(key, file);
  return {
    keyId: keyIdOf(key),
    verifies: (root, signature) => verify(null, Buffer.from(root), key, signature),
  };
}

function checkKind(key: KeyObject, file: string) {
  if (key.asymmetricKeyType !== 'ed25519')
    throw new Error(`${file} has a key of the kind ${key.asymmetricKeyType}, not ed25519`);
}

/** The first 16 hex digits of the SHA-256 of the public key (DER). */
const keyIdOf = (publicKey: KeyObject): string =>
  createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 16);
