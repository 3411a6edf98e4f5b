/** `history`: the entries of an account, and those to come. */
import { type Scrip, ScripError } from '../client.ts';
import { Entry, Entry_Kind } from '../gen/billing/v1/ledger.ts';
import { suggestion } from '../nearest-name.ts';
import { visible } from '../visible-text.ts';
import { argumentError, exitWith, write } from './command.ts';
import { NOT_FOUND } from './exit-codes.ts';
import { named, toJson } from './json.ts';
import { memberName } from './member-name.ts';
import { type LabelFilter, labelFields, labelFilter, wholeNumber } from './options.ts';
import { instant, who } from './print.ts';
import { deadline, type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { headingOf } from './table.ts';

type Options = ServiceOptions & {
  readonly follow: boolean;
  readonly newest: boolean;
  readonly last: number;
  readonly kind: readonly string[];
  readonly reference: string;
  readonly reservation: string;
  readonly request: string;
  readonly trace: string;
  readonly label?: LabelFilter;
};

export const history = serviceCommand('history', {
  description:
    'Lists the newest entries of an account, oldest first; with --follow also those that are written from then on, with ' +
    '--newest the newest first. With --json one object per line.',
  examples: [
    'acme',
    'acme --follow',
    'acme --newest --label team=media',
    'acme --last 1000 --kind COMMIT CHARGE --json',
  ],
})
  .argument('<account>')
  .option('--follow', 'wait for more, until it is interrupted', false)
  .option('--newest', 'the newest first', false)
  .option('--last <number>', 'how many to begin with, of those that are asked for', wholeNumber, 50)
  .option('--kind <kind...>', 'only these, such as COMMIT', [])
  .option('--reference <text>', 'only those with this reference', '')
  .option('--reservation <id>', 'only those of this reservation', '')
  .option('--request <id>', 'only those that requests with this id wrote', '')
  .option('--trace <id>', 'only those of this trace', '')
  .option(
    '--label <name[=value]>',
    'only those with this label, or with any of this name; can be repeated: all must match',
    labelFilter,
  )
  .action(
    exitWith(async (accountId: string, options: Options) => {
      if (options.newest && options.follow) throw argumentError('either --newest or --follow');
      const filter = filterOf(accountId, options);
      const lines = linesOf(options);
      if (options.newest) await showNewest(filter, options, lines);
      else await showInOrder(filter, options, lines);
      if (lines.shown > 0) return 0;
      process.stderr.write('no entry matches\n');
      return NOT_FOUND;
    }),
  );

type Filter = ReturnType<typeof filterOf>;

const filterOf = (accountId: string, options: Options) => ({
  accountId,
  kinds: options.kind.map(kindOf),
  reference: options.reference,
  reservationId: options.reservation,
  entryRequestId: options.request,
  traceId: options.trace,
  ...labelFields(options.label),
});

const isFiltered = ({ accountId: _, ...filter }: Filter): boolean =>
  Object.values(filter).some((value) => (value instanceof Map ? value.size : value.length) > 0);

/** Where the service at the next address goes on: there the one before has ended. */
async function showInOrder(filter: Filter, options: Options, lines: Lines) {
  const { follow, last } = options;
  let afterSeq: bigint | undefined;
  await withService(options, async (scrip) => {
    afterSeq ??= await seqBefore(scrip, filter, last);
    await lines.begin();
    for await (const entry of entriesOf(scrip, { ...filter, afterSeq, follow })) {
      await lines.show(entry);
      afterSeq = entry.seq;
    }
  });
}

async function showNewest(filter: Filter, options: Options, lines: Lines) {
  let missing = options.last;
  let beforeSeq = 0n;
  await withService(options, async (scrip) => {
    for await (const page of newestOf(scrip, { ...filter, beforeSeq }, missing)) {
      await lines.begin();
      for (const entry of page) {
        await lines.show(entry);
        beforeSeq = entry.seq;
        missing--;
      }
    }
  });
}

type Lines = ReturnType<typeof linesOf>;

/** Writes the heading once, and entries as they come. */
function linesOf({ json }: Options) {
  let isBegun = json;
  let shown = 0;
  return {
    async begin() {
      if (!isBegun) await write(process.stdout, `${headingOf(HEADING)}\n`);
      isBegun = true;
    },
    async show(entry: Entry) {
      shown += 1;
      await write(process.stdout, `${json ? toJson(named(Entry, entry)) : lineOf(entry)}\n`);
    },
    get shown() {
      return shown;
    },
  };
}

/** seq of the entry before the `last` newest ones that match. */
async function seqBefore(scrip: Scrip, filter: Filter, last: number): Promise<bigint> {
  const { accountId } = filter;
  const { balance } = await scrip.billing.getBalance({ accountId }, deadline());
  const newest = balance?.seq ?? 0n;
  if (!isFiltered(filter)) return newest > BigInt(last) ? newest - BigInt(last) : 0n;
  let first = newest + 1n;
  for await (const page of newestOf(scrip, filter, last)) first = page.at(-1)?.seq ?? first;
  return first - 1n;
}

/** Pages of up to `count` of the newest entries that match, newest first. A page can be empty. */
async function* newestOf(
  { billing }: Scrip,
  filter: Filter & { readonly beforeSeq?: bigint },
  count: number,
): AsyncGenerator<readonly Entry[], void, void> {
  let pageToken = '';
  let missing = count;
  do {
    const pageSize = Math.min(missing, 1_000);
    const request = { ...filter, pageSize, pageToken };
    const page = await billing.listEntries(request, deadline());
    yield page.entries.slice(0, missing);
    missing -= page.entries.length;
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && missing > 0);
}

type Request = Parameters<Scrip['billing']['streamHistory']>[0] & { readonly afterSeq: bigint };

/** A replica that stops says where to go on: another one has the rest. */
async function* entriesOf(scrip: Scrip, first: Request): AsyncGenerator<Entry, void, void> {
  for (let request = first; ; ) {
    try {
      for await (const { entries } of scrip.billing.streamHistory(request)) yield* entries;
      return;
    } catch (error) {
      if (!(error instanceof ScripError) || error.reason !== 'SHUTTING_DOWN') throw error;
      request = { ...request, afterSeq: BigInt(error.metadata['next_after_seq'] ?? 0) };
    }
  }
}

function kindOf(name: string): Entry_Kind {
  const kinds: Readonly<Record<string, Entry_Kind>> = Entry_Kind;
  const kind = kinds[name.toUpperCase()];
  if (kind === undefined || kind === Entry_Kind.UNSPECIFIED)
    throw argumentError(`there is no kind ${name}${suggestion(name, Object.keys(kinds)).text}`);
  return kind;
}

/** As wide as most values: what follows is not known yet. */
const WIDTHS = [6, 24, 15, 9, 10, 9] as const;

const inColumns = (cells: readonly string[]): string =>
  cells
    .map(visible)
    .map((cell, index) => {
      const isNumber = [0, 3, 4, 5].includes(index);
      const width = WIDTHS[index] ?? 0;
      return isNumber ? cell.padStart(width) : cell.padEnd(width);
    })
    .join('  ')
    .trimEnd();

const HEADING = inColumns(['seq', 'at', 'kind', 'credits', 'remaining', 'reserved', 'by']);

const quoted = (reason: string | undefined): string => (reason ? `"${reason}"` : '');

const lineOf = (entry: Entry): string =>
  inColumns([
    entry.seq.toString(),
    instant(entry.at),
    memberName(Entry_Kind, entry.kind),
    entry.credits.toString(),
    entry.remainingAfter.toString(),
    entry.reservedAfter.toString(),
    [who(entry), entry.reference, quoted(entry.details.get('reason'))].filter(Boolean).join('  '),
  ]);
