/**
 * Bearer tokens. A token is verified once and then known for a while, so that nearly every call is
 * authenticated at once.
 */
import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { Failure, overloaded } from '../failure.ts';
import type { TokenIssuer } from '../policy/token-issuer.ts';
import { ExpiringCache } from './expiring-cache.ts';
import { callerUnknown } from './failures.ts';
import { FileKeys, openKeys } from './issuer-keys.ts';
import { type Bearer, type KnownIssuer, verifyToken } from './verify-token.ts';

/** Longer ones are refused unread. */
const LENGTH_MAX = 8_192;
/** How long a verified token is known at most: then its key may not be the issuer's any more. */
const KNOWN_MS = 300_000;
/** How long a token that was refused is refused unread. */
const REFUSED_MS = 2_000;
const KNOWN_MAX = 4_096;
const REFUSED_MAX = 1_024;
/** Tokens that are verified at the same time. */
const PENDING_MAX = 1_000;

const BEARER = /^Bearer +([A-Za-z0-9._~+/=-]+) *$/i;

export type TokenOptions = {
  readonly log: Logger;
  /** Epoch milliseconds. */
  readonly now: () => number;
};

/** The issuers, and what is known of their tokens. Other keys or issuers make a new one. */
type Knowledge = {
  readonly issuers: readonly KnownIssuer[];
  readonly bearers: ExpiringCache<Bearer>;
  readonly refused: ExpiringCache<Failure>;
  readonly pending: Map<string, Promise<Bearer | Failure>>;
};

export class Tokens {
  readonly #options: TokenOptions;
  #knowledge = nothingKnown([]);

  constructor(options: TokenOptions) {
    this.#options = options;
  }

  /** Whether any issuer is configured. */
  get areAccepted(): boolean {
    return this.#knowledge.issuers.length > 0;
  }

  /**
   * Replaces the issuers. Keys that are known already stay, so that nothing has to be fetched for another policy.
   * Rejects, and changes nothing, if a file of keys cannot be read.
   */
  async setIssuers(issuers: readonly TokenIssuer[]): Promise<void> {
    const { log, now } = this.#options;
    const before = this.#knowledge.issuers;
    const known = issuers.map(async (issuer): Promise<KnownIssuer> => {
      const same = before.find(({ jwks }) => isDeepStrictEqual(jwks, issuer.jwks));
      const keys = same?.keys ?? (await openKeys(issuer.jwks, { issuer: issuer.name, log, now }));
      return { ...issuer, keys };
    });
    this.#knowledge = nothingKnown(await Promise.all(known));
  }

  /** Reads the keys that are in files again. Tokens are verified anew if there are others. */
  async reloadFiles(): Promise<void> {
    await this.#reload((issuer) => issuer.keys instanceof FileKeys);
  }

  /** Reads and fetches all keys again, and verifies all tokens anew. */
  async reload(): Promise<void> {
    await this.#reload(() => true);
  }

  async #reload(isConcerned: (issuer: KnownIssuer) => boolean) {
    const { issuers } = this.#knowledge;
    const changed = await Promise.all(issuers.filter(isConcerned).map(({ keys }) => keys.reload()));
    if (changed.some(Boolean) && this.#knowledge.issuers === issuers)
      this.#knowledge = nothingKnown(issuers);
  }

  /** The bearer that the request metadata `authorization` proves. A promise if its token is new. */
  authenticate(authorization: string): Bearer | Failure | Promise<Bearer | Failure> {
    if (!this.areAccepted)
      return callerUnknown('TOKEN_NOT_ACCEPTED', 'this service accepts no tokens');
    if (authorization.length > LENGTH_MAX)
      return callerUnknown('TOKEN_TOO_LONG', 'the bearer token is longer than 8 KB');
    const token = BEARER.exec(authorization)?.[1];
    if (token === undefined)
      return callerUnknown('TOKEN_MALFORMED', 'the authorization is no bearer token');
    // Not the token: what is kept in memory can be dumped.
    const key = hash('sha256', token, 'base64');
    const knowledge = this.#knowledge;
    const now = this.#options.now();
    return (
      knowledge.bearers.get(key, now) ??
      knowledge.refused.get(key, now) ??
      knowledge.pending.get(key) ??
      this.#verify(token, key, knowledge)
    );
  }

  #verify(token: string, key: string, knowledge: Knowledge): Failure | Promise<Bearer | Failure> {
    const { issuers, bearers, refused, pending } = knowledge;
    if (pending.size >= PENDING_MAX) return overloaded(pending.size, PENDING_MAX);
    const options = this.#options;
    const verified = verifyToken(token, issuers, options.now()).then((outcome) => {
      pending.delete(key);
      const at = options.now();
      if (outcome instanceof Failure) refused.set(key, outcome, at + REFUSED_MS);
      else bearers.set(key, outcome, Math.min(outcome.until, at + KNOWN_MS));
      return outcome;
    });
    pending.set(key, verified);
    return verified;
  }
}

const nothingKnown = (issuers: readonly KnownIssuer[]): Knowledge => ({
  issuers,
  bearers: new ExpiringCache(KNOWN_MAX),
  refused: new ExpiringCache(REFUSED_MAX),
  pending: new Map(),
});
