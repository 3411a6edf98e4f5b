/**
 * What a policy says about one call, in the order in which it is asked: the method and the account id before
 * the request is validated, then the operations and whom the caller acts for.
 */
import type { Failure } from '../failure.ts';
import { isIdInScope } from './account-scope.ts';
import { matchesAny } from './caller-name.ts';
import {
  accountNotAllowed,
  callerNotKnown,
  type DeniedCall,
  methodNotAllowed,
  onBehalfOfNotAllowed,
  operationNotAllowed,
} from './denials.ts';
import type { Identity } from './identity.ts';
import { isSandboxMethod, type ServedMethod } from './methods.ts';
import type { Permissions } from './permissions.ts';

/** The permissions of a caller that may call the method, on accounts of its scope. */
export function authorize(
  permissions: Permissions | null,
  identity: Identity,
  method: ServedMethod,
  accountId: string | null,
): Permissions | Failure {
  const call: DeniedCall = { caller: identity.caller, method, accountId };
  if (permissions === null) return callerNotKnown(call, identity.certificate);
  if (!isSandboxMethod(method) && !permissions.methods.has(method)) return methodNotAllowed(call);
  if (accountId !== null && !isIdInScope(permissions.accounts, accountId))
    return accountNotAllowed(call);
  return permissions;
}

/** The denial of the first operation that the caller's usages must not name; null if there is none. */
export function denyOperations(
  { operations }: Permissions,
  call: DeniedCall,
  named: readonly string[],
): Failure | null {
  if (operations === null) return null;
  const forbidden = named.find((operation) => !matchesAny(operations, operation));
  return forbidden === undefined ? null : operationNotAllowed(call, forbidden);
}

/** The denial of acting for somebody; null if it is allowed. */
export const denyOnBehalfOf = (
  { onBehalfOf }: Permissions,
  call: DeniedCall,
  name: string,
): Failure | null => (matchesAny(onBehalfOf, name) ? null : onBehalfOfNotAllowed(call, name));
