/** The policy of a service without a policy file: everybody may do everything. */
import { NOTHING_ALLOWED, type Permissions } from './permissions.ts';
import type { Policy } from './policy.ts';
import { METHOD_NAMES } from './roles.ts';

const EVERYTHING: Permissions = {
  ...NOTHING_ALLOWED,
  methods: new Set(METHOD_NAMES),
  onBehalfOf: ['*'],
};

export const ALLOW_ALL: Policy = { permissionsOf: () => EVERYTHING };
