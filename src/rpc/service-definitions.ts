/** The services of the contract, as the generated code defines them. */
import type { ServiceDefinition } from '@grpc/grpc-js';
import { AccountServiceService } from '../gen/billing/v1/account_service.ts';
import { BillingServiceService } from '../gen/billing/v1/billing_service.ts';
import { EventServiceService } from '../gen/billing/v1/event_service.ts';
import { OperatorServiceService } from '../gen/billing/v1/operator_service.ts';
import { PlanServiceService } from '../gen/billing/v1/plan_service.ts';
import { StatementServiceService } from '../gen/billing/v1/statement_service.ts';
import { SandboxServiceService } from '../gen/sandbox/v1/sandbox_service.ts';

/** By full name. */
export const SERVICE_DEFINITIONS = {
  'billing.v1.BillingService': BillingServiceService,
  'billing.v1.AccountService': AccountServiceService,
  'billing.v1.PlanService': PlanServiceService,
  'billing.v1.StatementService': StatementServiceService,
  'billing.v1.EventService': EventServiceService,
  'billing.v1.OperatorService': OperatorServiceService,
} as const satisfies Readonly<Record<string, ServiceDefinition>>;

/** The one that only a sandbox has besides. */
export const SANDBOX_SERVICE = 'sandbox.v1.SandboxService';
export const SANDBOX_DEFINITION: ServiceDefinition = SandboxServiceService;

export type ServiceName = keyof typeof SERVICE_DEFINITIONS;

export const SERVICE_NAMES = Object.keys(SERVICE_DEFINITIONS) as readonly ServiceName[];
