/** The commands of `scrip`. */
import {
  accountClose,
  accountMove,
  accountOpen,
  accountResume,
  accountShow,
  accountSuspend,
  accountTimeZone,
} from './account.ts';
import { accountList } from './account-list.ts';
import { accountTopUp } from './account-top-up.ts';
import { anchorWrite } from './anchor.ts';
import { archive } from './archive.ts';
import { balance } from './balance.ts';
import { budgets } from './budgets.ts';
import { cellsCheck, cellsList } from './cells.ts';
import { cellsMove } from './cells-move.ts';
import { cellsOf } from './cells-of.ts';
import { cellsPlace } from './cells-place.ts';
import { cellsRestored } from './cells-restored.ts';
import { cellsSplit } from './cells-split.ts';
import { charge, estimate, refund } from './charge.ts';
import { clockAccept, clockStatus } from './clock.ts';
import { group, program } from './command.ts';
import { completion } from './completion.ts';
import { dbUrl } from './db-url.ts';
import { doctor } from './doctor.ts';
import { events } from './events.ts';
import { grant, grants } from './grants.ts';
import { history } from './history.ts';
import { importCommand } from './import.ts';
import { migrate } from './migrate.ts';
import { plansCheck } from './plans-check.ts';
import { plansDiff } from './plans-diff.ts';
import { plansList } from './plans-list.ts';
import { plansPreview } from './plans-preview.ts';
import { plansPublish } from './plans-publish.ts';
import { plansStatus } from './plans-status.ts';
import { policyCheck } from './policy-check.ts';
import { policyExplain } from './policy-explain.ts';
import { purchasesBuy } from './purchases-buy.ts';
import { purchasesList } from './purchases-list.ts';
import { purchasesMismatched } from './purchases-mismatched.ts';
import { purchasesPacks } from './purchases-packs.ts';
import { purchasesPrice } from './purchases-price.ts';
import { purchasesResolve } from './purchases-resolve.ts';
import { refusals } from './refusals.ts';
import { rerate } from './rerate.ts';
import { reservations } from './reservations.ts';
import { commit, release, reserve } from './reserve.ts';
import { rollForward } from './roll-forward.ts';
import {
  sandboxAdvance,
  sandboxCreate,
  sandboxPay,
  sandboxPayments,
  sandboxTime,
} from './sandbox.ts';
import { shadowOff, shadowOn, shadowReport } from './shadow.ts';
import { statement } from './statement.ts';
import { trace } from './trace.ts';
import { usage } from './usage-report.ts';
import { verify } from './verify.ts';

export const scrip = program([
  group('account', 'Accounts.', [
    accountOpen,
    accountShow,
    accountList,
    accountMove,
    accountTopUp,
    accountTimeZone,
    accountSuspend,
    accountResume,
    accountClose,
  ]),
  importCommand,
  group('shadow', 'Accounts that another system still charges: what Scrip would have done.', [
    shadowOn,
    shadowOff,
    shadowReport,
  ]),
  estimate,
  charge,
  reserve,
  commit,
  release,
  refund,
  rerate,
  grant,
  balance,
  grants,
  budgets,
  history,
  statement,
  usage,
  rollForward,
  events,
  reservations,
  trace,
  refusals,
  group('purchases', 'Packs that accounts buy, and those that were paid otherwise than ordered.', [
    purchasesBuy,
    purchasesList,
    purchasesMismatched,
    purchasesPacks,
    purchasesPrice,
    purchasesResolve,
  ]),
  group('plans', 'Plan files, and the plans of the database.', [
    plansCheck,
    plansList,
    plansDiff,
    plansPreview,
    plansPublish,
    plansStatus,
  ]),
  group('policy', 'Policy files.', [policyCheck, policyExplain]),
  group('clock', 'The clocks of the database and of this machine.', [clockStatus, clockAccept]),
  group('sandbox', 'A service whose clock is moved, started with npm start -- --sandbox.', [
    sandboxAdvance,
    sandboxTime,
    sandboxPay,
    sandboxPayments,
    sandboxCreate,
  ]),
  group('anchor', 'Anchors of the ledger.', [anchorWrite]),
  archive,
  group('cells', 'The databases that the accounts are divided among.', [
    cellsList,
    cellsCheck,
    cellsMove,
    cellsSplit,
    cellsRestored,
    cellsOf,
    cellsPlace,
  ]),
  verify,
  doctor,
  migrate,
  group('db', 'The embedded database.', [dbUrl]),
  completion,
]).addHelpText(
  'after',
  '\nThey read the same environment variables as the service. <command> --help has examples.',
);
