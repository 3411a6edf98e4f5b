/** An issuer of tokens, with its keys at a URL on loopback or in a file. */
import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JSONWebKeySet,
  type JWTPayload,
  SignJWT,
} from 'jose';
import type { TokenAlgorithm, TokenIssuer } from '../../src/policy/token-issuer.ts';

export const ISSUER = 'https://issuer.example.org';
export const AUDIENCE = 'scrip';
const HOUR_S = 3_600;

/** What a token says beside what every good one does; undefined leaves a claim out. */
export type TokenClaims = Readonly<Record<string, unknown>>;

export class TokenKey {
  readonly algorithm: TokenAlgorithm;
  readonly id: string;
  readonly publicKey: CryptoKey;
  readonly #privateKey: CryptoKey;

  static async create(id: string, algorithm: TokenAlgorithm = 'ES256'): Promise<TokenKey> {
    const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
    return new TokenKey(id, algorithm, publicKey, privateKey);
  }

  private constructor(
    id: string,
    algorithm: TokenAlgorithm,
    publicKey: CryptoKey,
    privateKey: CryptoKey,
  ) {
    this.id = id;
    this.algorithm = algorithm;
    this.publicKey = publicKey;
    this.#privateKey = privateKey;
  }

  /** A token that is good, but for these claims. */
  async sign(claims: TokenClaims = {}, header: { readonly kid?: string } = {}): Promise<string> {
    return await new SignJWT(payloadOf(claims))
      .setProtectedHeader({ alg: this.algorithm, kid: this.id, ...header })
      .sign(this.#privateKey);
  }

  /** A token whose HMAC has the public key as its secret: whoever knows that can make it. */
  async signAsSecret(): Promise<string> {
    return await new SignJWT(payloadOf({}))
      .setProtectedHeader({ alg: 'HS256', kid: this.id })
      .sign(Buffer.from(await exportSPKI(this.publicKey)));
  }
}

/** A token that nobody signed. */
export function unsigned(claims: TokenClaims = {}): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${encode({ alg: 'none' })}.${encode(payloadOf(claims))}.`;
}

function payloadOf(claims: TokenClaims): JWTPayload {
  const now = Math.floor(Date.now() / 1_000);
  const good = { iss: ISSUER, aud: AUDIENCE, sub: 'renderer', iat: now, exp: now + HOUR_S };
  const all = Object.entries({ ...good, ...claims });
  return Object.fromEntries(all.filter(([, value]) => value !== undefined));
}

/** Seconds since the epoch, from now. */
export const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1_000) + seconds;

export const keySetOf = async (...keys: readonly TokenKey[]): Promise<JSONWebKeySet> => ({
  keys: await Promise.all(
    keys.map(async ({ id, algorithm, publicKey }) => ({
      ...(await exportJWK(publicKey)),
      kid: id,
      alg: algorithm,
    })),
  ),
});

/** The issuer as a policy would state it. */
export const issuerOf = (
  jwks: TokenIssuer['jwks'],
  more: Partial<TokenIssuer> = {},
): TokenIssuer => ({
  name: 'cluster',
  issuer: ISSUER,
  audience: AUDIENCE,
  jwks,
  callerClaim: 'sub',
  requiredClaims: {},
  clockToleranceMs: 5_000,
  algorithms: ['ES256', 'RS256'],
  ...more,
});

/** An HTTP server with the keys, which a test replaces. */
export class KeyServer {
  keys: JSONWebKeySet = { keys: [] };
  /** What it answers in place of them. */
  broken: 'hangs up' | 'garbage' | 'status 500' | null = null;
  requests = 0;
  #held: Promise<void> = Promise.resolve();
  readonly #server: Server;

  static async start(...keys: readonly TokenKey[]): Promise<KeyServer> {
    const server = new KeyServer();
    server.keys = await keySetOf(...keys);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  private constructor() {
    this.#server = createServer(async (request, response) => {
      this.requests += 1;
      await this.#held;
      if (this.broken === 'hangs up') request.socket.destroy();
      else if (this.broken === 'status 500') response.writeHead(500).end();
      else response.end(this.broken ?? JSON.stringify(this.keys));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/jwks`;
  }

  /** Answers nothing, until the function that is returned is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held = promise;
    return resolve;
  }

  async stop() {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}

/** A file with keys, which a test replaces. */
export class KeyFile {
  readonly file: string;
  readonly #directory: string;

  static async create(...keys: readonly TokenKey[]): Promise<KeyFile> {
    const created = new KeyFile(await mkdtemp(join(tmpdir(), 'scrip-keys-')));
    await created.write(JSON.stringify(await keySetOf(...keys)));
    return created;
  }

  private constructor(directory: string) {
    this.#directory = directory;
    this.file = join(directory, 'jwks.json');
  }

  async write(text: string) {
    await writeFile(`${this.file}.new`, text);
    await rename(`${this.file}.new`, this.file);
  }

  remove(): Promise<void> {
    return rm(this.#directory, { recursive: true });
  }
}
