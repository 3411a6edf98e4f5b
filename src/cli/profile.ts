/**
 * Profiles: services that a person calls, by name, with what is shown to them.
 *
 *     default: staging
 *     profiles:
 *       staging:
 *         address: billing.staging.example.org:50051
 *         ca: staging-ca.pem             # files beside this one, or absolute
 *         token_file: /run/secrets/token
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { suggestion } from '../nearest-name.ts';
import { formatFileError, locateErrors } from '../pricing/plan-file/file-error.ts';
import { parseYaml } from '../pricing/plan-file/plan-yaml.ts';
import { validate } from '../pricing/plan-file/validation-error.ts';

const text = z.string().min(1);

const profileSchema = z.strictObject({
  address: text,
  caller: text.optional(),
  ca: text.optional(),
  cert: text.optional(),
  key: text.optional(),
  token_file: text.optional(),
});

const fileSchema = z.strictObject({
  default: text.optional(),
  profiles: z.record(text, profileSchema),
});

export type Profile = {
  readonly address: string;
  readonly caller: string | undefined;
  /** The variables that name the same files. */
  readonly environment: Readonly<Record<string, string>>;
};

type Environment = Readonly<Record<string, string | undefined>>;

export const profilesFile = ({ XDG_CONFIG_HOME }: Environment): string =>
  join(XDG_CONFIG_HOME || join(home(), '.config'), 'scrip', 'config.yaml');

/** A user of a container may have none. */
function home(): string {
  try {
    return homedir();
  } catch {
    return '/';
  }
}

/** The profile of this name, or the default one: null if there is none. Throws for one that is named and unknown. */
export function readProfile(name: string | undefined, environment: Environment): Profile | null {
  const file = profilesFile(environment);
  const read = readIfExists(file);
  if (read === null) {
    if (name === undefined) return null;
    throw new Error(`there is no profile ${name}: ${file} does not exist`);
  }
  const { default: byDefault, profiles } = parse(file, read);
  const wanted = name ?? byDefault;
  if (wanted === undefined) return null;
  const found = Object.hasOwn(profiles, wanted) ? profiles[wanted] : undefined;
  if (!found) {
    const near = suggestion(wanted, Object.keys(profiles)).text;
    throw new Error(`there is no profile ${wanted} in ${file}${near}`);
  }
  const beside = (path: string | undefined): string => (path ? resolve(dirname(file), path) : '');
  return {
    address: found.address,
    caller: found.caller,
    environment: {
      SCRIP_CA_FILE: beside(found.ca),
      SCRIP_CERT_FILE: beside(found.cert),
      SCRIP_KEY_FILE: beside(found.key),
      SCRIP_TOKEN_FILE: beside(found.token_file),
    },
  };
}

function parse(file: string, content: string): z.infer<typeof fileSchema> {
  const yaml = parseYaml(content);
  const valid = validate(fileSchema, yaml.content);
  const errors = locateErrors(file, yaml, 'errors' in valid ? valid.errors : []);
  if (errors.length > 0 || !('value' in valid))
    throw new Error(errors.map(formatFileError).join('; '));
  return valid.value;
}

function readIfExists(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
