/** Secrets that come from files: `NAME_FILE` names the file that holds the value of NAME. */
import { readFileSync } from 'node:fs';

type Environment = Readonly<Record<string, string | undefined>>;

/** The variables that hold secrets, and may be read from files. */
export const SECRETS = [
  'DATABASE_URL',
  'STRIPE_SECRET_KEY',
  'STRIPE_WEBHOOK_SECRET',
  'EVENTS_WEBHOOK_SECRET',
] as const;

/** The environment with the secrets that its files hold, and what is wrong with them. An empty variable is unset. */
export function readSecretFiles(env: Environment): {
  readonly env: Environment;
  readonly problems: readonly string[];
} {
  const values: Record<string, string | undefined> = { ...env };
  const problems: string[] = [];
  for (const name of SECRETS) {
    const file = env[`${name}_FILE`];
    if (!file) continue;
    if (env[name]) {
      problems.push(`${name} and ${name}_FILE are both set`);
      continue;
    }
    try {
      // Editors and secret stores end the file with a line break.
      values[name] = readFileSync(file, 'utf8').trim();
      if (values[name] === '') problems.push(`${name}_FILE names an empty file`);
    } catch (error) {
      problems.push(unreadable(`${name}_FILE`, error));
    }
  }
  return { env: values, problems };
}

/** Without the path: where the secret itself was given for it, the error's own message would show the secret. */
export const unreadable = (name: string, error: unknown): string =>
  `${name} cannot be read: ${(error as NodeJS.ErrnoException).code}`;
