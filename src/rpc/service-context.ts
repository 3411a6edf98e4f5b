/** What the handlers of all services work with. `src/wiring` builds it. */
import type { Logger } from 'pino';
import type { Admission } from '../admission/admission.ts';
import type { Archive } from '../archive/archive.ts';
import type { Authenticator } from '../authentication/authenticator.ts';
import type { CellRouter } from '../cells/cell-router.ts';
import type { Clock } from '../clock/clock.ts';
import type { DayQuotas } from '../day-quotas.ts';
import type { EntryFollower } from '../entry-follower.ts';
import type { Lanes } from '../lanes/lanes.ts';
import type { Payments } from '../payments/payments.ts';
import type { Em } from '../pg/orm.ts';
import type { AccountSnapshots } from '../queries/account-snapshots.ts';
import type { CustomPacks } from '../queries/custom-packs.ts';
import type { Refusals } from '../refusals.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Catalogue } from '../store/catalogue.ts';
import type { StatementCloser } from '../sweeper/statement-closer.ts';
import type { Tail } from '../tail.ts';
import type { Observers } from '../telemetry/observers.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import type { AnswerTime } from './call/answer-time.ts';
import type { AuditLog } from './call/audit-log.ts';
import type { Authorization } from './call/authorization.ts';
import type { InFlightCalls } from './call/in-flight-calls.ts';
import type { OpenStreams } from './call/open-streams.ts';
import type { OverloadAnswer } from './call/overload-answer.ts';
import type { RecentRefusals } from './call/recent-refusals.ts';

/** What calls on the accounts of all cells share. */
export type SharedContext = {
  readonly tracing: Tracing;
  /** Told of every call at its end. */
  readonly observers: Observers;
  readonly log: Logger;
  readonly inFlight: InFlightCalls;
  /** Finds out who calls. */
  readonly authenticator: Authenticator;
  /** Asks the policy what the caller may do. */
  readonly authorization: Authorization;
  /** Counts credits of a day, for the callers whose policy limits them. */
  readonly dayQuotas: DayQuotas;
  /** States what operators did. */
  readonly audit: AuditLog;
  /** Decides which calls are served where more arrive than can be. */
  readonly admission: Admission;
  /** Answers those that are not. */
  readonly overloadAnswer: OverloadAnswer;
  /** Tells callers the time. */
  readonly answerTime: AnswerTime;
  /** Remembers the calls that failed last. */
  readonly recentRefusals: RecentRefusals;
  /** Where a trace can be seen; undefined: nobody says. */
  readonly traceUrlTemplate: string | undefined;
  /** Limits what streams take. */
  readonly streams: OpenStreams;
  /** Aborts when the service stops: streams end, so that their readers resume on another replica. */
  readonly stopping: AbortSignal;
  /** Null: the service is no sandbox. */
  readonly sandbox: Sandbox | null;
  /** Finds the context of an account, or of all cells. */
  readonly cells: CellRouter<ServiceContext>;
};

/** The same, and the cell of the account that a call names; of a call that names none, any of them. */
export type ServiceContext = SharedContext & {
  /** Its name. */
  readonly cell: string;
  /** Obeys the map that the cell's database has now. */
  readonly readMap: () => Promise<unknown>;
  readonly clock: Clock;
  /** A new entity manager, for the reads of one call. */
  readonly em: () => Em;
  /** Entries that have left the database. */
  readonly archive: Archive;
  /** Accounts as they are now, settled in memory. */
  readonly snapshots: AccountSnapshots;
  /** Packs that are offered to single accounts. */
  readonly customPacks: CustomPacks;
  /** Plans and rate cards. */
  readonly catalogue: Catalogue;
  /** Wakes streams that follow the history of an account. */
  readonly tail: Tail;
  /** Wakes streams that follow events. */
  readonly eventTail: Tail;
  /** Decides and writes mutations. */
  readonly lanes: Lanes;
  /** Collects refusals for lack of credits, to be reported outside their calls. */
  readonly refusals: Refusals;
  /** Closes months that have ended, before their statements are shown. */
  readonly statementCloser: StatementCloser;
  /** Counts what is charged into usage rollups, before a report reads them. */
  readonly usage: EntryFollower;
  /** Counts what moved credits, before a roll-forward is read. */
  readonly rollForward: EntryFollower;
  /** Null if no payment provider is configured. */
  readonly payments: Payments | null;
};
