/** `reservations`: those of one account, or of all accounts, oldest first. */

import { Reservation, Reservation_State } from '../gen/billing/v1/ledger.ts';
import { StuckReservation } from '../gen/billing/v1/operator_service.ts';
import { argumentError, exitWith } from './command.ts';
import { NOT_FOUND } from './exit-codes.ts';
import { named, toJson } from './json.ts';
import { memberName } from './member-name.ts';
import { duration, firstOf, oneOf, toLimit } from './options.ts';
import { instant, length, nonZero, printLines } from './print.ts';
import { deadline, type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { table } from './table.ts';

type Length = { readonly seconds: bigint };
type Options = ServiceOptions & {
  readonly state?: Reservation_State;
  readonly stuck: boolean;
  readonly olderThan?: Length;
  readonly expiringWithin?: Length;
  readonly expired: boolean;
  readonly account: string;
  readonly limit: number;
};

const STUCK: Length = { seconds: 3_600n };

export const reservations = serviceCommand('reservations', {
  description:
    'Lists the reservations of one account, newest first and in any state; or, without an account, those of all accounts ' +
    'that hold credits, oldest first: those that were made long ago (--stuck), or are about to expire. Exits with 1 if ' +
    'there are none.',
  examples: [
    'acme',
    'acme --state committed',
    '--stuck',
    '--older-than 2d --account acme',
    '--expiring-within 5m --json',
  ],
})
  .argument('[account]', 'all of its reservations')
  .option(
    '--state <state>',
    'with an account, only these: active, committed, released or expired',
    oneOf<Reservation_State>(Reservation_State, 'state'),
  )
  .option('--stuck', 'the same as --older-than 1h', false)
  .option('--older-than <time>', 'only those that were made so long ago', duration)
  .option('--expiring-within <time>', 'only those that expire within this time', duration)
  .option('--expired', 'those that have expired, in place of those that hold credits', false)
  .option('--account <account>', 'only those of this account', '')
  .option('--limit <number>', 'at most so many', toLimit, 50)
  .action(
    exitWith(async (accountId: string | undefined, options: Options) => {
      if (accountId !== undefined) return await listOf(accountId, options);
      if (options.state) throw argumentError('--state needs an account');
      const { stuck, olderThan, expiringWithin, expired, account, limit } = options;
      const older = olderThan ?? (stuck ? STUCK : undefined);
      const filter = {
        accountId: account,
        state: expired ? Reservation_State.EXPIRED : Reservation_State.ACTIVE,
        ...(older && { olderThan: older }),
        ...(expiringWithin && { expiringWithin }),
      };
      const { rows, hasMore } = await withService(options, ({ operator }) =>
        firstOf(limit, async (pageToken, pageSize) => {
          const request = { ...filter, pageToken, pageSize };
          const page = await operator.listStuckReservations(request, deadline());
          return [page.reservations, page.nextPageToken];
        }),
      );
      if (options.json)
        printLines([
          toJson(
            rows.map((row) => named(StuckReservation, row)),
            2,
          ),
        ]);
      else if (rows.length > 0) printLines(linesOf(rows));
      if (hasMore) process.stderr.write(`there are more than ${limit}: raise --limit\n`);
      if (rows.length === 0) process.stderr.write('no reservation matches\n');
      return rows.length > 0 ? 0 : NOT_FOUND;
    }),
  );

const linesOf = (rows: readonly StuckReservation[]): readonly string[] =>
  table(
    [
      { title: 'age', align: 'right' },
      { title: 'account' },
      { title: 'reservation' },
      { title: 'state' },
      { title: 'held', align: 'right' },
      { title: 'of', align: 'right' },
      { title: 'expires' },
      { title: 'by' },
      { title: 'reference' },
    ],
    rows.map(({ reservation, age, caller, overdue }) => [
      age ? length(age) : '',
      reservation?.accountId ?? '',
      reservation?.reservationId ?? '',
      overdue ? 'OVERDUE' : memberName(Reservation_State, reservation?.state ?? 0),
      reservation?.held.toString() ?? '',
      reservation?.credits.toString() ?? '',
      instant(reservation?.expiresAt),
      caller,
      reservation?.reference ?? '',
    ]),
  );

async function listOf(accountId: string, options: Options): Promise<number> {
  const { state, stuck, olderThan, expiringWithin, expired, account, limit } = options;
  if (stuck || olderThan || expiringWithin || expired || account)
    throw argumentError('of one account, reservations are only selected by --state and --limit');
  const { rows, hasMore } = await withService(options, ({ billing }) =>
    firstOf(limit, async (pageToken, pageSize) => {
      const request = { accountId, states: state ? [state] : [], pageToken, pageSize };
      const page = await billing.listReservations(request, deadline());
      return [page.reservations, page.nextPageToken];
    }),
  );
  if (options.json)
    printLines([
      toJson(
        rows.map((row) => named(Reservation, row)),
        2,
      ),
    ]);
  else if (rows.length > 0) printLines(linesOfAccount(rows));
  if (hasMore) process.stderr.write(`there are more than ${limit}: raise --limit\n`);
  if (rows.length === 0) process.stderr.write('no reservation matches\n');
  return rows.length > 0 ? 0 : NOT_FOUND;
}

const linesOfAccount = (rows: readonly Reservation[]): readonly string[] =>
  table(
    [
      { title: 'made' },
      { title: 'reservation' },
      { title: 'state' },
      { title: 'held', align: 'right' },
      { title: 'charged', align: 'right' },
      { title: 'returned', align: 'right' },
      { title: 'of', align: 'right' },
      { title: 'expires' },
      { title: 'reference' },
    ],
    rows.map((row) => [
      instant(row.createdAt),
      row.reservationId,
      `${memberName(Reservation_State, row.state)}${row.late ? ', late' : ''}`,
      nonZero(row.held),
      nonZero(row.committed),
      nonZero(row.returned),
      row.credits.toString(),
      instant(row.expiresAt),
      row.reference,
    ]),
  );
