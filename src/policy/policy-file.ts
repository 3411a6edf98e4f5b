/** Parses and validates a policy file. Pure: the text is an argument. */
import { type FileError, locateErrors } from '../pricing/plan-file/file-error.ts';
import { parseYaml } from '../pricing/plan-file/plan-yaml.ts';
import { validate } from '../pricing/plan-file/validation-error.ts';
import type { Permissions } from './permissions.ts';
import { checkRules, issuerErrors } from './policy-rules.ts';
import { policySchema, type RuleDraft } from './policy-schema.ts';
import { type Roles, resolveRoles } from './roles.ts';
import type { Rule } from './rule.ts';
import type { TokenIssuer } from './token-issuer.ts';

export type PolicyFile = {
  /** Its name, for messages. */
  readonly file: string;
  readonly issuers: readonly TokenIssuer[];
  /** The built-in ones, too. */
  readonly roles: Roles;
  /** In the order of the file: the first that applies decides. */
  readonly rules: readonly Rule[];
};

/**
 * Parses a policy file, or lists its errors: those of its shape first, and those between its parts once the
 * shape is right. Never throws.
 */
export function parsePolicyFile(
  file: string,
  yamlText: string,
): { readonly policy: PolicyFile } | { readonly errors: readonly FileError[] } {
  const yaml = parseYaml(yamlText);
  const { content, errors: yamlErrors, findLine } = yaml;
  if (content === undefined) return { errors: locateErrors(file, yaml, []) };
  const shape = validate(policySchema, content);
  if ('errors' in shape) return { errors: locateErrors(file, yaml, shape.errors) };

  const { issuers, callers } = shape.value;
  const { roles, errors: roleErrors } = resolveRoles(shape.value.roles);
  const { selectors, errors: ruleErrors } = checkRules(shape.value, roles);
  const errors = [...issuerErrors(issuers), ...roleErrors, ...ruleErrors];
  if (errors.length > 0 || yamlErrors.length > 0)
    return { errors: locateErrors(file, yaml, errors) };

  const rules = callers.flatMap((draft, index): readonly Rule[] => {
    const selector = selectors[index];
    if (!selector) return [];
    return [
      {
        index,
        line: findLine(['callers', index]),
        selector,
        roles: draft.roles,
        permissions: permissionsOf(draft, roles),
        carriesTokensOf: draft.carries_tokens_of,
      },
    ];
  });
  return { policy: { file, issuers, roles, rules } };
}

const permissionsOf = (draft: RuleDraft, roles: Roles): Permissions => ({
  methods: new Set(draft.roles.flatMap((role) => [...(roles.get(role) ?? [])])),
  accounts: draft.accounts,
  operations: draft.operations,
  ownReservationsOnly: draft.own_reservations_only,
  creditLimits: draft.credits,
  requestsPerSecond: draft.requests_per_second,
  creditsPerSecond: draft.credits_per_second,
  streamsMax: draft.streams,
  onBehalfOf: draft.on_behalf_of,
});
