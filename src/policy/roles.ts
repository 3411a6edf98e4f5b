/** The roles of a policy: the built-in ones and its own, each as the methods that it allows. */
import { suggestion } from '../nearest-name.ts';
import type { ValidationError } from '../pricing/plan-file/validation-error.ts';
import { isMethodName, METHODS, type MethodName, ROLES } from './methods.ts';
import type { RoleDraft } from './policy-schema.ts';

export type Roles = ReadonlyMap<string, ReadonlySet<MethodName>>;

export const METHOD_NAMES = Object.keys(METHODS) as readonly MethodName[];

export const BUILT_IN_ROLES: Roles = new Map(
  ROLES.map((role) => [
    role,
    new Set(METHOD_NAMES.filter((method) => (METHODS[method] as readonly string[]).includes(role))),
  ]),
);

/** Adds the roles of `drafts` to the built-in ones. Each extends only roles above it, so there are no circles. */
export function resolveRoles(drafts: Readonly<Record<string, RoleDraft>>): {
  readonly roles: Roles;
  readonly errors: readonly ValidationError[];
} {
  const roles = new Map(BUILT_IN_ROLES);
  const errors: ValidationError[] = [];
  for (const [name, draft] of Object.entries(drafts)) {
    const found = roleErrors(name, draft, roles);
    errors.push(...found.map(({ path, reason }) => ({ path: ['roles', name, ...path], reason })));
    // A role with errors still has a name, which rules may use.
    if (!BUILT_IN_ROLES.has(name)) roles.set(name, methodsOf(draft, roles));
  }
  return { roles, errors };
}

function methodsOf(draft: RoleDraft, above: Roles): ReadonlySet<MethodName> {
  const inherited = draft.extends.flatMap((parent) => [...(above.get(parent) ?? [])]);
  const methods = [...inherited, ...draft.methods.filter(isMethodName)];
  return new Set(methods.filter((method) => !draft.without.includes(method)));
}

function roleErrors(name: string, draft: RoleDraft, above: Roles): readonly ValidationError[] {
  if (BUILT_IN_ROLES.has(name)) return [{ path: [], reason: 'is a built-in role' }];
  const errors: ValidationError[] = [];
  for (const [index, parent] of draft.extends.entries())
    if (!above.has(parent)) {
      const reason = `there is no role ${parent} above${suggestion(parent, above.keys()).text}`;
      errors.push({ path: ['extends', index], reason });
    }
  for (const key of ['methods', 'without'] as const)
    for (const [index, method] of draft[key].entries())
      if (!isMethodName(method)) errors.push({ path: [key, index], reason: unknownMethod(method) });
  if (errors.length > 0) return errors;

  const all = methodsOf({ ...draft, without: [] }, above);
  for (const [index, method] of draft.without.entries())
    if (!all.has(method as MethodName))
      errors.push({ path: ['without', index], reason: `${method} is not allowed by it anyway` });
  if (methodsOf(draft, above).size === 0) errors.push({ path: [], reason: 'allows no method' });
  return errors;
}

export const unknownMethod = (name: string): string =>
  `there is no method ${name}${suggestion(name, METHOD_NAMES).text}`;
