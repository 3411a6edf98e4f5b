/** A policy: which callers may do what. It says nothing of those it does not name. */
import type { Identity } from './identity.ts';
import type { Permissions } from './permissions.ts';

export type Policy = {
  /** Null: no rule of the policy applies to this caller, who may do nothing. */
  permissionsOf(identity: Identity): Permissions | null;
};
