/** Reads the rate cards that a unit of work needs beside those in force. */
import type { Account } from '../ledger/account.ts';
import type { Reservation } from '../ledger/reservation.ts';
import type { Em } from '../pg/orm.ts';
import type { PublishedPlan } from '../pricing/published-plan.ts';
import type { Catalogue } from '../store/catalogue.ts';
import type { SingleTask } from './task.ts';

export async function readRateCards(
  em: Em,
  catalogue: Catalogue,
  plans: ReadonlyMap<string, PublishedPlan>,
  needs: {
    readonly now: number;
    readonly tasks: readonly SingleTask[];
    readonly accounts: readonly Account[];
    readonly reservations: readonly Reservation[];
  },
): Promise<void> {
  const need = async (plan: PublishedPlan | undefined, version: number) => {
    if (plan?.version(version) && !plan.rateCard(version))
      await catalogue.loadRateCard(plan, version, em);
  };
  for (const { planId, rateCardVersion } of needs.reservations)
    await need(plans.get(planId), rateCardVersion);
  // Of every plan: an earlier command of this unit of work may move the account to another one.
  for (const task of needs.tasks)
    if ('command' in task && 'rateCardVersion' in task.command) {
      const { rateCardVersion } = task.command;
      if (rateCardVersion !== null)
        for (const plan of plans.values()) await need(plan, rateCardVersion);
      // Late usage has the prices of the time when it happened.
      if ('usedAt' in task.command && task.command.usedAt !== null)
        for (const plan of plans.values())
          await catalogue.loadRateCardInForce(plan, task.command.usedAt, em);
    }
  // The clock of the replica that wrote an account may be ahead of this one's.
  for (const { lastAt } of needs.accounts)
    if (lastAt > needs.now)
      for (const plan of plans.values()) await catalogue.loadRateCardInForce(plan, lastAt, em);
}
