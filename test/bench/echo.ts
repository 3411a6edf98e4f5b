/**
 * The echo baseline, a process of its own: a bare grpc-js server that answers the messages of Reserve and
 * GetBalance and does nothing. The difference to the service is the cost of billing.
 */

import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import {
  BillingServiceService,
  type GetBalanceRequest,
  type GetBalanceResponse,
  type ReserveRequest,
  type ReserveResponse,
} from '../../src/gen/billing/v1/billing_service.ts';
import {
  type Balance,
  OverCommitPolicy,
  Reservation_State,
} from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';

const now = new Date();
const balance: Balance = {
  remaining: 1_000_000_000_000n,
  reserved: 20n,
  available: 999_999_999_980n,
  overage: 0n,
  overageLimit: 0n,
  owed: 0n,
  lowBalance: false,
  levels: [{ threshold: 500n, low: false }],
  pauseFloor: 0n,
  usable: 1_000_000_000_000n,
  limited: [],
  nextExpiry: { expiresAt: new Date(Date.UTC(2100, 0, 1)), credits: 1_000_000_000_000n },
  nextAllowance: undefined,
  seq: 2n,
  asOf: now,
};
const reserved: ReserveResponse = {
  reservation: {
    accountId: 'v0000000',
    reservationId: '019a4d31-0c7a-7d5e-8f61-2b7b3c1f9d10',
    state: Reservation_State.ACTIVE,
    credits: 20n,
    held: 20n,
    committed: 0n,
    returned: 0n,
    allocations: [{ source: { $case: 'grantId', value: 1n }, credits: 20n }],
    expiresAt: now,
    createdAt: now,
    endedAt: undefined,
    planId: 'verts',
    usedAt: undefined,
    overCommitPolicy: OverCommitPolicy.REJECT,
    rateCardVersion: 1n,
    reference: 'job-20261104',
    labels: new Map(),
    late: false,
  },
  balance,
  entrySeq: 2n,
  lines: [
    {
      usage: {
        operation: 'image.upscale',
        quantities: mapOf({ scale_factor: 4n }),
        attributes: new Map(),
        count: 1n,
      },
      unitCredits: 20n,
      credits: 20n,
      billable: true,
      components: [],
    },
  ],
  replay: undefined,
};

const { reserve, getBalance } = BillingServiceService;
// The options of src/rpc/server.ts.
const server = new Server({
  'grpc.enable_channelz': 0,
  'grpc.max_receive_message_length': 4 * 1024 * 1024,
});
server.addService(
  { reserve, getBalance },
  {
    reserve: (
      _call: ServerUnaryCall<ReserveRequest, ReserveResponse>,
      respond: sendUnaryData<ReserveResponse>,
    ) => respond(null, reserved),
    getBalance: (
      _call: ServerUnaryCall<GetBalanceRequest, GetBalanceResponse>,
      respond: sendUnaryData<GetBalanceResponse>,
    ) => respond(null, { balance, grants: [], timeZone: 'UTC' }),
  },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`${JSON.stringify({ msg: 'ready', port })}\n`);
});
