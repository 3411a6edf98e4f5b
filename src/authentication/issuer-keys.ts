/** The public keys of a token issuer: a JSON Web Key Set in a file or at a URL. Issuers rotate them. */
import { readFile } from 'node:fs/promises';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  type FetchImplementation,
  type JWTVerifyGetKey,
} from 'jose';
import type { Logger } from 'pino';
import type { TokenIssuer } from '../policy/token-issuer.ts';

/** How long a request for keys may take. */
const TIMEOUT_MS = 5_000;
/** Age at which keys are fetched again. */
const AGE_MAX_MS = 600_000;
/** A token with an unknown key makes them be fetched at once, unless they are younger. */
const COOLDOWN_MS = 10_000;
/** How long keys count while no others can be fetched. */
const STALE_MAX_MS = 86_400_000;

export type KeyOptions = {
  /** The name of the issuer, for the log. */
  readonly issuer: string;
  readonly log: Logger;
  /** Epoch milliseconds. */
  readonly now: () => number;
};

export type IssuerKeys = FileKeys | UrlKeys;

/** Reads the keys if they are in a file; throws if it has none. Those at a URL are fetched for the first token. */
export async function openKeys(
  jwks: TokenIssuer['jwks'],
  options: KeyOptions,
): Promise<IssuerKeys> {
  return 'file' in jwks
    ? await FileKeys.open(jwks.file, options)
    : new UrlKeys(new URL(jwks.url), options);
}

const keysIn = (text: string): JWTVerifyGetKey => createLocalJWKSet(JSON.parse(text));

export class FileKeys {
  readonly #file: string;
  readonly #options: KeyOptions;
  #text: string;
  #keys: JWTVerifyGetKey;
  /** What was last read, good or not: a broken file is reported once. */
  #lastRead: string;

  static async open(file: string, options: KeyOptions): Promise<FileKeys> {
    const text = await readFile(file, 'utf8');
    try {
      return new FileKeys(file, options, text, keysIn(text));
    } catch (error) {
      throw new Error(`${file} is no JSON Web Key Set: ${(error as Error).message}`);
    }
  }

  private constructor(file: string, options: KeyOptions, text: string, keys: JWTVerifyGetKey) {
    this.#file = file;
    this.#options = options;
    this.#text = text;
    this.#lastRead = text;
    this.#keys = keys;
  }

  readonly find: JWTVerifyGetKey = (header, token) => this.#keys(header, token);

  /** Reads the file again, and returns whether it has other keys. A broken one leaves the keys as they are. */
  async reload(): Promise<boolean> {
    const text = await readFile(this.#file, 'utf8').catch((error: Error) => error);
    const read = String(text);
    if (read === this.#lastRead) return false;
    this.#lastRead = read;
    try {
      if (text instanceof Error) throw text;
      if (text === this.#text) return false;
      this.#keys = keysIn(text);
      this.#text = text;
      return true;
    } catch (error) {
      const { issuer, log } = this.#options;
      log.warn(
        { issuer, file: this.#file, err: error },
        'the keys of a token issuer cannot be read; the previous ones stay in use',
      );
      return false;
    }
  }
}

export class UrlKeys {
  readonly #options: KeyOptions;
  readonly find: ReturnType<typeof createRemoteJWKSet>;
  #fetched: { readonly text: string; readonly at: number } | null = null;
  #isFailing = false;

  constructor(url: URL, options: KeyOptions) {
    this.#options = options;
    this.find = createRemoteJWKSet(url, {
      timeoutDuration: TIMEOUT_MS,
      cacheMaxAge: AGE_MAX_MS,
      cooldownDuration: COOLDOWN_MS,
      [customFetch]: this.#fetch,
    });
  }

  /** Fetches the keys now. */
  async reload(): Promise<boolean> {
    // `#fetch` has logged the failure.
    await this.find.reload().catch(() => {});
    return true;
  }

  /** Answers with the keys that it fetched before, if it can fetch none: an issuer that is down stops nobody. */
  readonly #fetch: FetchImplementation = async (url, request) => {
    const { issuer, log } = this.#options;
    try {
      const text = await fetchText(url, request);
      this.#fetched = { text, at: this.#options.now() };
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing)
        log.warn({ issuer, url, err: error }, 'the keys of a token issuer cannot be fetched');
      this.#isFailing = true;
      if (!this.#fetched || this.#options.now() > this.#fetched.at + STALE_MAX_MS) throw error;
    }
    return new Response(this.#fetched.text);
  };
}

/** A JSON Web Key Set. Throws if something else is there. */
async function fetchText(...[url, request]: Parameters<FetchImplementation>): Promise<string> {
  const response = await fetch(url, request);
  if (response.status !== 200) throw new Error(`the status of the answer is ${response.status}`);
  const text = await response.text();
  keysIn(text);
  return text;
}
