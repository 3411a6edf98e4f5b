/** `policy explain`: which rule of a policy applies to a caller, and what it may do. It needs no database. */

import { suggestion } from '../nearest-name.ts';
import { HEADER, methodOfName } from '../policy/caller-name.ts';
import { CompiledPolicy } from '../policy/compiled-policy.ts';
import { explain } from '../policy/explain.ts';
import type { Identity } from '../policy/identity.ts';
import { METHODS, type MethodName } from '../policy/methods.ts';
import type { PolicyFile } from '../policy/policy-file.ts';
import { unknownMethod } from '../policy/roles.ts';
import { formatFileError } from '../pricing/plan-file/file-error.ts';
import { argumentError, command, exitWith } from './command.ts';
import { INVALID_FILE } from './exit-codes.ts';
import { policyPath, readPolicy } from './policy-path.ts';

/** Exit code where the caller may not call the method. */
const DENIED = 1;

type Options = { readonly file?: string; readonly certificate: string; readonly claims: string };

export const policyExplain = command('explain', {
  description:
    'Says whether a caller may call a method, on an account, and by which rule of a policy file, by default ' +
    'POLICY_FILE. --certificate names the one that carries the token of the caller, --claims is an object ' +
    'with the claims of the token. Exits with 1 if the call is denied.',
  examples: [
    'spiffe://example.org/media/renderer Reserve cust-1 --file deploy/policy.yaml',
    `staff:anna@example.org GrantCredits --claims '{"groups":["support"]}'`,
  ],
})
  .argument('<caller>')
  .argument('<method>', 'such as Reserve')
  .argument('[account]')
  .option('--file <policy-file>', 'default: POLICY_FILE')
  .option('--certificate <name>', 'that carries the token of the caller', '')
  .option('--claims <json>', 'of the token of the caller', '')
  .action(
    exitWith(
      async (
        caller: string,
        method: string,
        accountId: string | undefined,
        { file, certificate, claims }: Options,
      ) => {
        const read = await readPolicy(policyPath(file));
        if ('errors' in read) {
          for (const error of read.errors) process.stderr.write(`${formatFileError(error)}\n`);
          return INVALID_FILE;
        }
        const identity = identityOf(read.policy, caller, certificate, claims);
        const policy = new CompiledPolicy(read.policy);
        const { allowed, sentences } = explain(
          policy,
          identity,
          knownMethod(method),
          accountId ?? null,
        );
        const lines = [allowed ? 'allowed' : 'denied', ...sentences.map((each) => `  ${each}`)];
        process.stdout.write(`${lines.join('\n')}\n`);
        return allowed ? 0 : DENIED;
      },
    ),
  );

/** The caller as authentication would have named it. */
function identityOf(
  { issuers }: PolicyFile,
  caller: string,
  certificate: string,
  claims: string,
): Identity {
  const method = methodOfName(caller, new Set(issuers.map(({ name }) => name)));
  if (method === null) {
    const beginnings = ['spiffe:', 'cn:', 'header:', ...issuers.map(({ name }) => `${name}:`)];
    const { text } = suggestion(caller.slice(0, caller.indexOf(':') + 1), beginnings);
    throw argumentError(
      `no caller is named ${caller}: names begin with ${beginnings.join(', ')}${text}`,
    );
  }
  if (method !== 'TOKEN' && (certificate !== '' || claims !== ''))
    throw argumentError(`${caller} has no token, so there is no --certificate and no --claims`);
  // Of a caller who names itself, authentication knows only that name.
  const name = method === 'HEADER' ? caller.slice(HEADER.length + 1) : caller;
  return { caller: name, method, certificate, claims: parseClaims(claims), until: null };
}

function parseClaims(json: string): Identity['claims'] {
  if (json === '') return {};
  try {
    const claims: unknown = JSON.parse(json);
    if (typeof claims === 'object' && claims !== null && !Array.isArray(claims))
      return claims as Identity['claims'];
  } catch {}
  throw argumentError('--claims must be a JSON object, such as {"groups":["support"]}');
}

function knownMethod(name: string): MethodName {
  if (Object.hasOwn(METHODS, name)) return name as MethodName;
  throw argumentError(unknownMethod(name));
}
