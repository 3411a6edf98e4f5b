/** `purchases resolve`: decides about a payment that differs from its order, through the running service. */
import { ResolvePurchaseResponse } from '../gen/billing/v1/account_service.ts';
import { Purchase_Resolution_Decision as Decision } from '../gen/billing/v1/ledger.ts';
import { after } from './charge.ts';
import { argumentError, exitWith } from './command.ts';
import { named } from './json.ts';
import { change, type MutationOptions, mutationCommand } from './mutation.ts';
import { deadline } from './service-call.ts';

type Options = MutationOptions & {
  readonly accept: boolean;
  readonly reject: boolean;
  readonly reason: string;
};

export const purchasesResolve = mutationCommand('resolve', {
  description:
    'Decides about a MISMATCHED purchase: --accept grants its credits as ordered, --reject ends it without ' +
    'a grant (refund the money at the payment provider). A decision is final, and repeating it is harmless.',
  examples: [
    'acme 0198f0c4-6a5e-7c3a-9b1d-2e4f6a8b0c1d --accept --reason "discount agreed, ticket 17"',
  ],
})
  .argument('<account>')
  .argument('<purchase>')
  .option('--accept', 'grant its credits as ordered', false)
  .option('--reject', 'end it without a grant', false)
  .requiredOption('--reason <text>', 'why, for people')
  .action(
    exitWith(async (accountId: string, purchaseId: string, options: Options) => {
      const { accept, reject, reason } = options;
      if (accept === reject) throw argumentError('either --accept or --reject is needed');
      const decision = accept ? Decision.ACCEPTED : Decision.REJECTED;
      const request = { accountId, purchaseId, decision, reason };
      return await change(
        options,
        ({ accounts }, requestId) =>
          accounts.resolvePurchase({ ...request, requestId }, deadline()),
        (response) => {
          const { caller: by, reason: why } = response.purchase?.resolution ?? {};
          return {
            json: named(ResolvePurchaseResponse, response),
            said: [
              ['purchase', purchaseId],
              [
                'decision',
                accept
                  ? `accepted, ${response.purchase?.credits} credits granted`
                  : 'rejected, nothing granted',
              ],
              ['decided by', `${by}: ${why}`],
              ...after(response),
            ],
          };
        },
      );
    }),
  );
