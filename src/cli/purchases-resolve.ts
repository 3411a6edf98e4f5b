/** `purchases resolve`: decides about a payment that differs from its order, through the running service. */
import { randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import { connect } from '../client.ts';
import { connectOptions } from '../client-environment.ts';
import { requireConfig } from '../config.ts';
import { Purchase_Resolution_Decision as Decision } from '../gen/billing/v1/ledger.ts';
import { argumentError, type Command } from './command.ts';

const DEADLINE_MS = 30_000;

export const purchasesResolve: Command = {
  usage: '<account> <purchase> --accept|--reject --reason TEXT [--caller NAME]',
  description:
    'Decides about a MISMATCHED purchase: --accept grants its credits as ordered, --reject ends it without ' +
    'a grant (refund the money at the payment provider). A decision is final, and repeating it is harmless. ' +
    'Calls the service on SCRIP_ADDRESS, by default localhost:PORT.',
  async run(args) {
    const { accountId, purchaseId, decision, reason, caller } = readOptions(args);
    const address = process.env['SCRIP_ADDRESS'] || `localhost:${requireConfig(process.env).PORT}`;
    const scrip = connect(address, connectOptions(process.env, caller));
    try {
      const request = { accountId, purchaseId, decision, reason, requestId: randomUUID() };
      const { purchase } = await scrip.accounts.resolvePurchase(request, {
        deadline: Date.now() + DEADLINE_MS,
      });
      const { caller: by, reason: why } = purchase?.resolution ?? {};
      const what =
        decision === Decision.ACCEPTED
          ? `accepted, ${purchase?.credits} credits granted`
          : 'rejected, nothing granted';
      process.stdout.write(`${purchaseId}: ${what}; decided by ${by}: ${why}\n`);
      return 0;
    } finally {
      scrip.close();
    }
  },
};

function readOptions(args: string[]) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      accept: { type: 'boolean', default: false },
      reject: { type: 'boolean', default: false },
      reason: { type: 'string' },
      caller: { type: 'string', default: `operator:${userInfo().username}` },
    },
  });
  const [accountId, purchaseId, ...more] = positionals;
  if (!accountId || !purchaseId || more.length > 0)
    throw argumentError('an account and a purchase are needed');
  if (values.accept === values.reject) throw argumentError('either --accept or --reject is needed');
  const { reason, caller } = values;
  if (!reason) throw argumentError('--reason is needed');
  const decision = values.accept ? Decision.ACCEPTED : Decision.REJECTED;
  return { accountId, purchaseId, decision, reason, caller };
}
