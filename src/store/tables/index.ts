/** Every table, and its MikroORM entity. The migrations create them; a test compares the two. */
import { entityOf } from '../../pg/entity.ts';
import { accounts } from './accounts.ts';
import { archivedAccounts, archivedRequests, archiveFiles } from './archive.ts';
import { budgetCounters } from './budgets.ts';
import { callerQuotas } from './caller-quotas.ts';
import { cells } from './cells.ts';
import { clockAcceptances } from './clock-acceptances.ts';
import { clockHeartbeats } from './clock-heartbeats.ts';
import { customPacks } from './custom-packs.ts';
import { deliveries } from './deliveries.ts';
import { entries } from './entries.ts';
import { eventCursors } from './event-cursors.ts';
import { events } from './events.ts';
import { grants } from './grants.ts';
import { planVersions } from './plan-versions.ts';
import { plans } from './plans.ts';
import { purchases } from './purchases.ts';
import { rateCards } from './rate-cards.ts';
import { refunded } from './refunded.ts';
import { reservations } from './reservations.ts';
import { rollForwardPositions, rollForwardSums } from './roll-forward.ts';
import { shadowDecisions, shadowReservations, shadowUse } from './shadows.ts';
import { cellReplicas, movedEvents, restores, slotMoves } from './slot-moves.ts';
import { statements } from './statements.ts';
import { usagePositions, usageQuantities, usageRollups } from './usage-rollups.ts';
import { verifyRuns } from './verify-runs.ts';

/** In the order of docs/schema.sql. */
export const tables = [
  plans,
  planVersions,
  rateCards,
  accounts,
  grants,
  reservations,
  entries,
  refunded,
  purchases,
  customPacks,
  budgetCounters,
  callerQuotas,
  statements,
  usageRollups,
  usageQuantities,
  usagePositions,
  rollForwardSums,
  rollForwardPositions,
  events,
  eventCursors,
  deliveries,
  clockHeartbeats,
  clockAcceptances,
  verifyRuns,
  cells,
  slotMoves,
  cellReplicas,
  movedEvents,
  restores,
  shadowUse,
  shadowDecisions,
  shadowReservations,
  archiveFiles,
  archivedAccounts,
  archivedRequests,
] as const;

export const entities = {
  plans: entityOf(plans),
  planVersions: entityOf(planVersions),
  rateCards: entityOf(rateCards),
  accounts: entityOf(accounts),
  grants: entityOf(grants),
  reservations: entityOf(reservations),
  entries: entityOf(entries),
  refunded: entityOf(refunded),
  purchases: entityOf(purchases),
  customPacks: entityOf(customPacks),
  budgetCounters: entityOf(budgetCounters),
  callerQuotas: entityOf(callerQuotas),
  statements: entityOf(statements),
  usageRollups: entityOf(usageRollups),
  usageQuantities: entityOf(usageQuantities),
  usagePositions: entityOf(usagePositions),
  rollForwardSums: entityOf(rollForwardSums),
  rollForwardPositions: entityOf(rollForwardPositions),
  events: entityOf(events),
  eventCursors: entityOf(eventCursors),
  deliveries: entityOf(deliveries),
  clockHeartbeats: entityOf(clockHeartbeats),
  clockAcceptances: entityOf(clockAcceptances),
  verifyRuns: entityOf(verifyRuns),
  cells: entityOf(cells),
  slotMoves: entityOf(slotMoves),
  cellReplicas: entityOf(cellReplicas),
  movedEvents: entityOf(movedEvents),
  restores: entityOf(restores),
  shadowUse: entityOf(shadowUse),
  shadowDecisions: entityOf(shadowDecisions),
  shadowReservations: entityOf(shadowReservations),
  archiveFiles: entityOf(archiveFiles),
  archivedAccounts: entityOf(archivedAccounts),
  archivedRequests: entityOf(archivedRequests),
};
