/**
 * The policy of a running service: the policy file, read again when it changes. A file that cannot be read, or
 * has errors, changes nothing: the policy before it stays in force, and the log says why.
 */
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { Poller } from '../poller.ts';
import { formatFileError } from '../pricing/plan-file/file-error.ts';
import { CompiledPolicy } from './compiled-policy.ts';
import type { Identity } from './identity.ts';
import type { Permissions } from './permissions.ts';
import type { Policy } from './policy.ts';
import { policyChanges } from './policy-changes.ts';
import { parsePolicyFile } from './policy-file.ts';
import type { TokenIssuer } from './token-issuer.ts';

export type PolicySourceOptions = {
  readonly file: string;
  readonly log: Logger;
  /** How often the file is read. It is small, and mounted files change in too many ways to be watched. */
  readonly intervalMs: number;
  /**
   * Puts in force what is outside of the policy, such as the keys of its issuers, before the policy. If it
   * rejects, the policy before stays in force.
   */
  readonly prepare?: (policy: CompiledPolicy) => Promise<void>;
};

/** A policy file that cannot be used, with every reason. */
export class InvalidPolicy extends Error {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('; '));
    this.lines = lines;
  }
}

export class PolicySource implements Policy {
  readonly #options: PolicySourceOptions;
  readonly #poller: Poller;
  #policy: CompiledPolicy;
  /** The text that was read last or, if it is broken, why. */
  #seen: string;
  #isBroken = false;

  /** Throws `InvalidPolicy`: a service never starts with a policy that its operator did not mean. */
  static async open(options: PolicySourceOptions): Promise<PolicySource> {
    const text = await readText(options.file);
    return new PolicySource(options, text, compile(options.file, text));
  }

  private constructor(options: PolicySourceOptions, text: string, policy: CompiledPolicy) {
    this.#options = options;
    this.#seen = text;
    this.#policy = policy;
    const { intervalMs, log } = options;
    const run = async () => {
      await this.reload();
      return false;
    };
    this.#poller = new Poller({ name: 'reading the policy', run, intervalMs, log });
  }

  get current(): CompiledPolicy {
    return this.#policy;
  }

  get issuers(): readonly TokenIssuer[] {
    return this.#policy.file.issuers;
  }

  permissionsOf(identity: Identity): Permissions | null {
    return this.#policy.permissionsOf(identity);
  }

  /** Reads the file, and puts it in force if it has changed and is valid. */
  async reload(): Promise<void> {
    const { file, log } = this.#options;
    try {
      const text = await readText(file);
      if (text === this.#seen) return;
      const policy = compile(file, text);
      await this.#prepare(policy);
      this.#replace(policy, text);
    } catch (error) {
      if (!(error instanceof InvalidPolicy)) throw error;
      // Once per broken file, not once per reading.
      if (error.message === this.#seen) return;
      this.#seen = error.message;
      this.#isBroken = true;
      log.error(
        { file, errors: error.lines },
        'the policy file is invalid: the policy before it stays in force',
      );
    }
  }

  async stop(): Promise<void> {
    await this.#poller.stop();
  }

  async #prepare(policy: CompiledPolicy) {
    const { file, prepare } = this.#options;
    await prepare?.(policy).catch((error: Error) => {
      throw new InvalidPolicy([`${file}: ${error.message}`]);
    });
  }

  #replace(policy: CompiledPolicy, text: string) {
    const { file, log } = this.#options;
    const changes = policyChanges(this.#policy.file, policy.file);
    if (this.#isBroken) log.info({ file }, 'the policy file is valid again');
    if (changes) log.info({ file, ...changes }, 'policy changed');
    this.#seen = text;
    this.#isBroken = false;
    this.#policy = policy;
  }
}

/** What `text` says. Throws `InvalidPolicy`. */
function compile(file: string, text: string): CompiledPolicy {
  const parsed = parsePolicyFile(file, text);
  if ('errors' in parsed) throw new InvalidPolicy(parsed.errors.map(formatFileError));
  return new CompiledPolicy(parsed.policy);
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new InvalidPolicy([`${file}: cannot be read: ${(error as Error).message}`]);
  }
}
