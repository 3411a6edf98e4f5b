/**
 * Who has signed in: by the hashes of session ids, the tokens that were given. They are in the memory of this
 * replica only, so that a restart signs everybody out.
 */
import { hash, randomBytes } from 'node:crypto';

export type Session = {
  readonly token: string;
  readonly caller: string;
  /** In epoch milliseconds. */
  readonly until: number;
};

const SESSION_MS = 8 * 3_600_000;
const SESSIONS_MAX = 1_000;
/** Of one caller, who can have several browsers. */
const SESSIONS_PER_CALLER_MAX = 10;

const keyOf = (id: string): string => hash('sha256', id, 'base64');

export class Sessions {
  /** Oldest first. */
  readonly #sessions = new Map<string, Session>();
  readonly #host: () => number;

  /** `host` is the clock of the host, in epoch milliseconds. */
  constructor(host: () => number) {
    this.#host = host;
  }

  /** Returns the new session and its id. `until`: when the token expires, in epoch milliseconds. */
  open(token: string, caller: string, until: number): Session & { readonly id: string } {
    const now = this.#host();
    for (const [key, session] of this.#sessions)
      if (session.until <= now) this.#sessions.delete(key);
    const own = [...this.#sessions].filter(([, session]) => session.caller === caller);
    if (own.length >= SESSIONS_PER_CALLER_MAX) this.#forget(own[0]?.[0]);
    else if (this.#sessions.size >= SESSIONS_MAX) this.#forget(this.#sessions.keys().next().value);
    const id = randomBytes(32).toString('base64url');
    const session = { token, caller, until: Math.min(until, now + SESSION_MS) };
    this.#sessions.set(keyOf(id), session);
    return { ...session, id };
  }

  /** Null: there is none with this id, or it has expired. */
  find(id: string): Session | null {
    const session = this.#sessions.get(keyOf(id));
    if (session && session.until > this.#host()) return session;
    this.close(id);
    return null;
  }

  close(id: string) {
    this.#sessions.delete(keyOf(id));
  }

  get count(): number {
    return this.#sessions.size;
  }

  #forget(key: string | undefined) {
    if (key !== undefined) this.#sessions.delete(key);
  }
}
