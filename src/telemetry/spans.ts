/**
 * Every span of the service: one table, from which the types and docs/telemetry.md are made. A span can be given the
 * attributes of its line in the table and no others.
 */
import { SpanKind } from '@opentelemetry/api';
import type { AttributeName, Attributes } from './attributes.ts';

type Definition = {
  readonly kind: SpanKind;
  readonly meaning: string;
  readonly attributes: readonly AttributeName[];
  /** What it is the child of. */
  readonly parent: string;
  readonly links?: string;
  /** Its name, where that is not the key. */
  readonly named?: string;
};

/** Spans with more links would lose some: the SDK keeps as many. */
export const LINKS_MAX = 128;

const HTTP_CLIENT = [
  'http.request.method',
  'http.response.status_code',
  'server.address',
  'server.port',
  'error.type',
] as const;

const FLIGHT = [
  'db.system.name',
  'db.namespace',
  'db.query.summary',
  'db.operation.batch.size',
  'db.response.status_code',
  'server.address',
  'server.port',
  'error.type',
] as const;

/** Of a call, and of a mutation of a Batch. */
const CALL = [
  'rpc.status_code',
  'error.type',
  'scrip.caller',
  'scrip.on_behalf_of',
  'scrip.account.id',
  'scrip.request.id',
  'scrip.reservation.id',
  'scrip.purchase.id',
  'scrip.plan.id',
  'scrip.operation',
  'scrip.credits',
  'scrip.entry.seq',
  'scrip.reason',
  'scrip.replayed',
  'scrip.deferrals',
  'scrip.lane.wait',
  'scrip.unit.connect',
  'scrip.unit.lock_load',
  'scrip.unit.decide',
  'scrip.unit.save_commit',
] as const;

export const SPANS = {
  rpc: {
    kind: SpanKind.SERVER,
    meaning: 'a call',
    named: 'the method, such as `billing.v1.BillingService/Reserve`',
    parent: "the caller's span",
    links: 'units of work that carried it',
    attributes: [
      'rpc.system.name',
      'rpc.method',
      'rpc.method_original',
      'server.address',
      'server.port',
      'network.peer.address',
      'network.peer.port',
      'scrip.batch.mutations',
      'scrip.batch.refused',
      ...CALL,
    ],
  },
  mutation: {
    kind: SpanKind.SERVER,
    meaning: 'one mutation of a Batch that names a span of its own caller',
    parent: "the caller's span that `Mutation.traceparent` names",
    links: 'the Batch, and units of work that carried it',
    attributes: ['scrip.mutation', ...CALL],
  },
  'unit of work': {
    kind: SpanKind.INTERNAL,
    meaning: 'one transaction for all tasks of a group; sampled if any span that it links to is',
    parent: 'none',
    links: 'what caused its tasks: calls, sweeps, top-ups; each once, at most 128',
    attributes: [
      'scrip.unit.tasks',
      'scrip.unit.calls',
      'scrip.unit.accounts',
      'scrip.unit.cached',
      'scrip.unit.locked',
      'scrip.unit.attempt',
      'scrip.unit.retry_cause',
      'scrip.unit.outcome',
      'scrip.unit.connect',
      'scrip.unit.lock_load',
      'scrip.unit.decide',
      'scrip.unit.save_commit',
      'error.type',
    ],
  },
  'lock and load': {
    kind: SpanKind.CLIENT,
    meaning: 'SQL statements of a unit of work that are sent together, before it decides',
    parent: '`unit of work`',
    attributes: FLIGHT,
  },
  'save and commit': {
    kind: SpanKind.CLIENT,
    meaning: 'the SQL statements that write what it decided, and its COMMIT',
    parent: '`unit of work`',
    attributes: FLIGHT,
  },
  sweep: {
    kind: SpanKind.INTERNAL,
    meaning: 'settles a batch of accounts that are due; there is none where no account is',
    parent: 'none',
    attributes: ['scrip.accounts.due', 'scrip.accounts.done', 'error.type'],
  },
  'close statements': {
    kind: SpanKind.INTERNAL,
    meaning: 'closes the statements of a batch of accounts; there is none where none is due',
    parent: 'none',
    attributes: ['scrip.accounts.due', 'scrip.accounts.done', 'error.type'],
  },
  'deliver event': {
    kind: SpanKind.CLIENT,
    meaning: 'an attempt to deliver an event to the webhook endpoint',
    parent: 'the call or the unit of work that caused the event',
    attributes: [
      ...HTTP_CLIENT,
      'scrip.event.id',
      'scrip.event.type',
      'scrip.account.id',
      'scrip.delivery.attempt',
      'scrip.outcome',
    ],
  },
  'check purchase': {
    kind: SpanKind.INTERNAL,
    meaning: 'the reconciler brings a purchase to its state at Stripe',
    parent: 'none',
    links: 'the call that began the purchase',
    attributes: ['scrip.account.id', 'scrip.purchase.id', 'scrip.outcome', 'error.type'],
  },
  'top up': {
    kind: SpanKind.INTERNAL,
    meaning: 'an automatic top-up is charged',
    parent: 'none',
    attributes: ['scrip.account.id', 'scrip.purchase.id', 'scrip.outcome', 'error.type'],
  },
  'POST /webhooks/stripe': {
    kind: SpanKind.SERVER,
    meaning: 'an event that Stripe has signed',
    parent: 'none',
    links: 'the call that began the purchase',
    attributes: [
      'http.request.method',
      'http.route',
      'http.response.status_code',
      'error.type',
      'stripe.event.id',
      'stripe.event.type',
      'scrip.account.id',
      'scrip.purchase.id',
      'scrip.outcome',
    ],
  },
  stripe: {
    kind: SpanKind.CLIENT,
    meaning: 'a call of Stripe',
    named: 'method and path without ids, such as `POST /v1/checkout/sessions`',
    parent: 'what calls Stripe',
    attributes: [...HTTP_CLIENT, 'url.template', 'stripe.request_id'],
  },
} as const satisfies Readonly<Record<string, Definition>>;

export type SpanName = keyof typeof SPANS;

/** What a span of this name can be given. */
export type AttributesOf<Name extends SpanName> = Attributes<
  (typeof SPANS)[Name]['attributes'][number]
>;
