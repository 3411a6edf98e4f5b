/** What callers sent, and what they know of it. */
import { status } from '@grpc/grpc-js';
import { type Scrip, type ScripCallOptions, ScripError } from '../../src/client.ts';

export type Method = 'Charge' | 'Reserve' | 'Commit' | 'Release' | 'GrantCredits';

export type Answer = { readonly entrySeq: bigint; readonly replay?: unknown };

/** One request with its request id. `send` may be called again, on any replica. */
export type Sent<Response extends Answer = Answer> = {
  readonly accountId: string;
  readonly requestId: string;
  readonly method: Method;
  /** What its entry is about. */
  readonly credits: bigint;
  readonly send: (scrip: Scrip, options: ScripCallOptions) => Promise<Response>;
  /** Of its first answer. */
  seq: bigint | null;
  /** The service said that nothing was written, and nothing was answered before. */
  isRefused: boolean;
  /** At some time its caller did not know whether it had taken effect. */
  wasUnknown: boolean;
  /** Its first answer was that of an attempt whose outcome was unknown. */
  hadEffect: boolean;
};

/** Codes after which a caller does not know the outcome. */
const UNKNOWN: ReadonlySet<number> = new Set([
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.CANCELLED,
  status.UNKNOWN,
  status.INTERNAL,
]);

export class Journal {
  readonly #sent: Sent[] = [];
  /** What no caller should ever see, once each. */
  readonly problems = new Set<string>();
  /** Reasons of refusals that are right. Nothing in the load can be refused for what it asks, unless it was lost. */
  readonly mayBeRefused = new Set<string>();
  /** How often each error was received. */
  readonly errors = new Map<string, number>();

  get all(): readonly Sent[] {
    return this.#sent;
  }

  get acknowledged(): readonly Sent[] {
    return this.#sent.filter(({ seq }) => seq !== null);
  }

  get unknown(): readonly Sent[] {
    return this.#sent.filter(({ seq, isRefused }) => seq === null && !isRefused);
  }

  record<Response extends Answer>(
    request: Pick<Sent<Response>, 'accountId' | 'requestId' | 'method' | 'credits' | 'send'>,
  ): Sent<Response> {
    const sent = { ...request, seq: null, isRefused: false, wasUnknown: false, hadEffect: false };
    this.#sent.push(sent);
    return sent;
  }

  /** Sends a request, for the first time or again. Null where it was not answered. */
  async send<Response extends Answer>(
    sent: Sent<Response>,
    scrip: Scrip,
    options: ScripCallOptions,
  ): Promise<Response | null> {
    try {
      const answer = await sent.send(scrip, options);
      if (sent.seq !== null && sent.seq !== answer.entrySeq)
        this.#report(sent, `was answered with entry ${sent.seq}, then with ${answer.entrySeq}`);
      if (answer.entrySeq === 0n) this.#report(sent, 'was answered without an entry');
      if (sent.seq === null) sent.hadEffect = answer.replay !== undefined;
      sent.seq ??= answer.entrySeq;
      sent.isRefused = false;
      return answer;
    } catch (error) {
      if (!(error instanceof ScripError)) throw error;
      this.#note(sent, error);
      return null;
    }
  }

  /** The answer of a request is void: its caller has to repeat it. */
  forget(sent: Sent) {
    sent.seq = null;
    sent.wasUnknown = true;
  }

  count(error: ScripError) {
    // Without a reason it comes from the client's library, which says more in its message.
    const name = error.reason || `${status[error.code]} (${withoutFigures(error.message)})`;
    this.errors.set(name, (this.errors.get(name) ?? 0) + 1);
  }

  #note(sent: Sent, error: ScripError) {
    this.count(error);
    if (error.reason === 'INTERNAL') this.#report(sent, `ended with INTERNAL: ${error.message}`);
    if (UNKNOWN.has(error.code)) sent.wasUnknown = true;
    // A refusal says nothing of an earlier attempt that may still take effect.
    else if (!sent.wasUnknown || this.mayBeRefused.has(error.reason)) sent.isRefused = true;
    if (
      !UNKNOWN.has(error.code) &&
      error.code !== status.RESOURCE_EXHAUSTED &&
      !this.mayBeRefused.has(error.reason)
    )
      this.#report(sent, `was refused: ${error.reason} ${error.message}`);
  }

  #report({ method }: Sent, what: string) {
    if (this.problems.size < 20) this.problems.add(`${method} ${what}`);
  }
}

/** Ports and times differ from error to error of the same kind. */
const withoutFigures = (message: string): string =>
  message.replace(/\d[\d.:]*s?/g, '…').slice(0, 80);
