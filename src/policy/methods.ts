/** Every RPC that a policy can allow, and the built-in roles that allow it. */

export const ROLES = [
  'product-service',
  'support',
  'billing-admin',
  'observer',
  'operator',
  'payments',
] as const;
export type RoleName = (typeof ROLES)[number];

const READERS = ['product-service', 'support', 'billing-admin', 'observer', 'operator'] as const;
/** Those who account for money, or look at it. */
const ACCOUNTANTS = ['support', 'billing-admin', 'observer', 'operator', 'payments'] as const;

/** A new RPC needs a row: `handlersOf` takes no other name. `ServerReflectionInfo` is gRPC reflection. */
export const METHODS = {
  Estimate: ['product-service', 'support', 'billing-admin', 'payments'],
  Reserve: ['product-service'],
  Commit: ['product-service'],
  Release: ['product-service'],
  Charge: ['product-service'],
  ExtendReservation: ['product-service'],
  RaiseReservation: ['product-service'],
  Refund: ['product-service', 'support', 'billing-admin'],
  Purchase: ['payments', 'billing-admin'],
  Batch: ['product-service', 'support', 'billing-admin', 'payments'],
  GetReservation: READERS,
  ListReservations: READERS,
  EstimatePurchase: ROLES,
  GetPurchase: ACCOUNTANTS,
  ListPurchases: ACCOUNTANTS,
  GetBalance: ROLES,
  GetPastBalance: READERS,
  ListEntries: READERS,
  StreamHistory: READERS,
  OpenAccount: ['billing-admin'],
  // Only a role of a policy's own allows them: whoever imports writes what others have paid.
  ImportAccount: [],
  SumImports: [],
  GetAccount: ROLES,
  ListAccounts: ['support', 'billing-admin', 'observer', 'operator'],
  UpdateAccount: ['billing-admin'],
  MoveAccount: ['billing-admin'],
  CloseAccount: ['billing-admin'],
  SuspendAccount: ['billing-admin'],
  ResumeAccount: ['billing-admin'],
  // Only a role of a policy's own allows it, as an import: in shadow mode nothing is charged.
  SetShadowMode: [],
  ListShadowDecisions: ['billing-admin', 'observer', 'operator'],
  SetBudget: ['billing-admin'],
  RemoveBudget: ['billing-admin'],
  GetBudgets: READERS,
  EraseAccountData: ['billing-admin'],
  GrantCredits: ['support', 'billing-admin'],
  VoidGrant: ['billing-admin'],
  UpdateGrant: ['billing-admin'],
  ListGrants: READERS,
  OfferPack: ['billing-admin'],
  WithdrawPack: ['billing-admin'],
  ListPacks: ROLES,
  ResolvePurchase: ['billing-admin'],
  ListPlans: ROLES,
  GetPlan: ROLES,
  GetStatement: ACCOUNTANTS,
  ListStatements: ACCOUNTANTS,
  ExportStatements: ['billing-admin', 'observer', 'payments'],
  GetUsage: ACCOUNTANTS,
  GetRollForward: ['billing-admin', 'observer', 'payments'],
  StreamEvents: ['billing-admin', 'observer', 'operator'],
  ListDeliveries: ['observer', 'operator'],
  ReplayDelivery: ['operator'],
  ReplayDeadDeliveries: ['operator'],
  TraceCharge: ['observer', 'operator'],
  ListStuckReservations: ['observer', 'operator'],
  ListRefusals: ['operator'],
  ServerReflectionInfo: ['operator'],
} as const satisfies Readonly<Record<string, readonly RoleName[]>>;

export type MethodName = keyof typeof METHODS;

/**
 * RPCs that only a sandbox serves, beside those above. Whoever the policy knows may call them, and no policy names
 * them: there is nothing to protect.
 */
const SANDBOX_METHODS = ['GetClock', 'AdvanceClock', 'ActOnPayment', 'ListPayments'] as const;

/** What can be called. */
export type ServedMethod = MethodName | (typeof SANDBOX_METHODS)[number];

export const isSandboxMethod = (name: string): name is (typeof SANDBOX_METHODS)[number] =>
  (SANDBOX_METHODS as readonly string[]).includes(name);

export const isMethodName = (name: string): name is MethodName => Object.hasOwn(METHODS, name);
