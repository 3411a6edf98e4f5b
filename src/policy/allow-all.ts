/** The policy of a service without a policy file: everybody may do everything. */
import type { Permissions } from './permissions.ts';
import type { Policy } from './policy.ts';
import { METHOD_NAMES } from './roles.ts';

const EVERYTHING: Permissions = {
  methods: new Set(METHOD_NAMES),
  accounts: null,
  operations: null,
  ownReservationsOnly: false,
  creditLimits: null,
  requestsPerSecond: null,
  creditsPerSecond: null,
  streamsMax: null,
  onBehalfOf: ['*'],
};

export const ALLOW_ALL: Policy = { permissionsOf: () => EVERYTHING };
