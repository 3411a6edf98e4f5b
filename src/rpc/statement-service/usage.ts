/** GetUsage: what accounts used, summed by what the caller asks for. */
import {
  GetUsageRequest_Dimension as DimensionMember,
  type GetUsageRequest,
  type GetUsageResponse,
  GetUsageRequest_Granularity as GranularityMember,
  UsageSum,
} from '../../gen/billing/v1/statement_service.ts';
import { monthAt, periodAt, type Zones } from '../../ledger/periods/period.ts';
import { mergeUsage } from '../../queries/merge-usage.ts';
import {
  type Dimension,
  type Granularity,
  type RowKey,
  readUsage,
  type UsageQuery,
  type UsageRow,
} from '../../queries/usage-report.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { UnaryCall } from '../call/handlers.ts';
import { readInCells } from '../call/in-cell.ts';
import { loadAccount } from '../call/load-account.ts';
import { decodePageToken, encodePageToken, toPage } from '../call/pages.ts';
import { sumMessage } from '../messages/sum.ts';
import type { ServiceContext } from '../service-context.ts';
import { requirePlan } from './require-plan.ts';

export async function getUsage(
  context: ServiceContext,
  request: GetUsageRequest,
  { access }: UnaryCall,
): Promise<GetUsageResponse> {
  const now = context.clock.now();
  const { of, granularity, groupBy, label, pageSize } = parseRequest(request);
  // Without the period: where it ends by itself, the next page may be of a later hour.
  const list = [
    ...['usage', JSON.stringify(of), granularity ?? '', [...groupBy].sort().join(), label],
    ...[request.from, request.to].map((at) => at?.toISOString() ?? ''),
    ...(request.inAccountTimeZone ? ['in account time zone'] : []),
  ];
  const after = decodePageToken(list, request.pageToken, KEY);
  let zones: Zones = null;
  if (of && 'accountId' in of) {
    const { timeZones } = await loadAccount(context, of.accountId);
    if (request.inAccountTimeZone) zones = timeZones;
    await context.usage.catchUp(of.accountId);
  } else if (of) await requirePlan(context, of.planId, now);
  const query: UsageQuery = {
    ...{ of, granularity, groupBy, label },
    ...hoursOf(request, granularity, zones, now),
    scope: access.permissions.accounts,
    after: after === null ? null : (JSON.parse(after) as RowKey),
    limit: pageSize,
  };
  const accountId = of && 'accountId' in of ? of.accountId : '';
  const reports = await readInCells(context, accountId, ({ em }) => readUsage(em(), query, now));
  const report = mergeUsage(query, reports);
  const { messages, nextPageToken } = toPage(
    report.rows,
    pageSize,
    UsageSum,
    usageMessage,
    ({ key }) => encodePageToken(list, JSON.stringify(key)),
  );
  return {
    rows: messages,
    nextPageToken,
    exactUpToSeq: report.upToSeq ?? 0n,
    exactBefore: new Date(report.before),
    hasOtherLabels: report.hasOtherLabels,
  };
}

/** A key of a row, as JSON: first its time, then texts. */
const KEY = /^\["\d{1,16}"(,"(?:[^"\\]|\\.)*")*\]$/;

const HOUR_MS = 3_600_000;
const PERIOD_MAX_MS = 366 * 24 * HOUR_MS;

const GRANULARITIES: ReadonlyMap<GranularityMember, Granularity | null> = new Map([
  [GranularityMember.UNSPECIFIED, null],
  [GranularityMember.HOUR, 'hour'],
  [GranularityMember.DAY, 'day'],
  [GranularityMember.MONTH, 'month'],
]);

const DIMENSIONS: ReadonlyMap<DimensionMember, Dimension> = new Map([
  [DimensionMember.OPERATION, 'operation'],
  [DimensionMember.CALLER, 'caller'],
  [DimensionMember.RATE_CARD_VERSION, 'rateCardVersion'],
  [DimensionMember.LABEL, 'label'],
  [DimensionMember.ACCOUNT, 'account'],
]);

/** The hours that are reported, and where rows begin, if that is not in UTC. */
function hoursOf(
  request: GetUsageRequest,
  granularity: Granularity | null,
  zones: Zones,
  now: number,
): Pick<UsageQuery, 'from' | 'to' | 'turns'> {
  const check = new FieldChecker();
  const from = checkHour(check, 'from', request.from) ?? monthAt(zones, now).from;
  const to = checkHour(check, 'to', request.to) ?? now - (now % HOUR_MS) + HOUR_MS;
  if (to <= from) check.addViolation('to', 'must be after from');
  else if (to - from > PERIOD_MAX_MS)
    check.addViolation('to', 'must be at most 366 days after from');
  check.throwIfInvalid();
  const turns = turnsOf(granularity, zones, from, to);
  if ([from, ...(turns ?? [])].some((at) => at % HOUR_MS !== 0))
    check.addViolation(
      'in_account_time_zone',
      `must be false: usage is counted by the hour of UTC, and days of ${zones?.at(-1)?.zone} begin within one`,
    );
  check.throwIfInvalid();
  return { from, to, turns };
}

/** First moments of the days or months of a report; null: it has none, or they are those of UTC. */
function turnsOf(
  granularity: Granularity | null,
  zones: Zones,
  from: number,
  to: number,
): readonly number[] | null {
  if (zones === null || granularity === null || granularity === 'hour') return null;
  const turns: number[] = [];
  for (let at = from; at < to; ) {
    const period = periodAt(zones, granularity, at);
    turns.push(period.from);
    at = period.until;
  }
  return turns;
}

function parseRequest(request: GetUsageRequest) {
  const check = new FieldChecker();
  const of = parseOf(check, request);
  checkHour(check, 'from', request.from);
  checkHour(check, 'to', request.to);
  if (request.inAccountTimeZone && request.of?.$case !== 'accountId')
    check.addViolation('in_account_time_zone', 'is only for account_id');
  const granularity = GRANULARITIES.get(request.granularity);
  if (granularity === undefined) check.addViolation('granularity', 'must be HOUR, DAY or MONTH');
  const dimensions = check.values('group_by', request.groupBy, DIMENSIONS);
  const groupBy = new Set(dimensions);
  if (groupBy.size < dimensions.length)
    check.addViolation('group_by', 'must name no dimension twice');
  const { label } = request;
  if (groupBy.has('label')) check.text('label', label, 64, 1);
  else if (label !== '') check.addViolation('label', 'is only for DIMENSION_LABEL');
  const pageSize = check.pageSize(request.pageSize);
  check.throwIfInvalid();
  return { of, granularity: granularity ?? null, groupBy, label, pageSize };
}

function parseOf(check: FieldChecker, { of }: GetUsageRequest) {
  if (!of) return null;
  return of.$case === 'accountId'
    ? { accountId: check.accountId(of.value) }
    : { planId: check.name('plan_id', of.value) };
}

function checkHour(check: FieldChecker, field: string, value: Date | undefined): number | null {
  const at = check.instant(field, value);
  if (at !== null && at % HOUR_MS !== 0) check.addViolation(field, 'must be a full hour (UTC)');
  return at;
}

const usageMessage = ({ label, ...row }: UsageRow): UsageSum => ({
  startsAt: new Date(row.startsAt),
  accountId: row.accountId,
  operation: row.operation,
  caller: row.caller,
  planId: row.planId,
  rateCardVersion: BigInt(row.rateCardVersion),
  labelValue: label !== null && label !== 'beyond' ? label.value : undefined,
  otherLabelValues: label === 'beyond',
  count: sumMessage(row.count),
  credits: sumMessage(row.credits),
  refunded: sumMessage(row.refunded),
  quantities: new Map([...row.quantities].map(([name, total]) => [name, sumMessage(total)])),
});
