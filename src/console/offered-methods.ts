/** What the console may call, whatever its visitor may. Everything else is refused before it is looked at. */
import type { DescMethod, FileRegistry, Message } from '@bufbuild/protobuf';
import type { MethodName } from '../policy/methods.ts';

const READS = [
  'GetAccount',
  'ListAccounts',
  'ListGrants',
  'ListPacks',
  'Estimate',
  'GetReservation',
  'ListReservations',
  'GetPurchase',
  'ListPurchases',
  'GetBalance',
  'ListEntries',
  'StreamHistory',
  'ListPlans',
  'GetPlan',
  'GetStatement',
  'ListStatements',
  'ExportStatements',
  'ListDeliveries',
  'TraceCharge',
  'ListStuckReservations',
  'ListRefusals',
] as const satisfies readonly MethodName[];

/** Only for persons who have signed in. */
const ACTIONS = [
  'GrantCredits',
  'VoidGrant',
  'Refund',
  'Release',
  'ReplayDelivery',
  'ReplayDeadDeliveries',
] as const satisfies readonly MethodName[];

export const OFFERED: readonly MethodName[] = [...READS, ...ACTIONS];

const actions: ReadonlySet<string> = new Set(ACTIONS);

export const isAction = (name: string): boolean => actions.has(name);

/** A unary method, or one whose response is a stream. */
export type OfferedMethod = DescMethod & { readonly methodKind: 'unary' | 'server_streaming' };

/** By paths such as "billing.v1.BillingService/GetBalance". */
export type OfferedMethods = ReadonlyMap<string, OfferedMethod>;

export function findOffered(descriptors: FileRegistry): OfferedMethods {
  const offered: ReadonlySet<string> = new Set(OFFERED);
  const found = new Map<string, OfferedMethod>();
  for (const type of descriptors) {
    if (type.kind !== 'service') continue;
    for (const method of type.methods)
      if (offered.has(method.name) && isOneRequest(method))
        found.set(`${type.typeName}/${method.name}`, method);
  }
  return found;
}

const isOneRequest = (method: DescMethod): method is OfferedMethod =>
  method.methodKind === 'unary' || method.methodKind === 'server_streaming';

/** A field of a message of any type, by its name in JSON. Undefined: it has none. */
export const fieldOf = (message: Message, name: string): unknown =>
  (message as unknown as Readonly<Record<string, unknown>>)[name];
