/** `history`: the entries of an account, and those to come. */
import { type Scrip, ScripError } from '../client.ts';
import { Entry, Entry_Kind } from '../gen/billing/v1/ledger.ts';
import { suggestion } from '../nearest-name.ts';
import { visible } from '../visible-text.ts';
import { argumentError, exitWith, write } from './command.ts';
import { named, toJson } from './json.ts';
import { memberName } from './member-name.ts';
import { wholeNumber } from './options.ts';
import { instant, who } from './print.ts';
import { deadline, type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { headingOf } from './table.ts';

type Options = ServiceOptions & {
  readonly follow: boolean;
  readonly last: number;
  readonly kind: readonly string[];
  readonly reference: string;
};

export const history = serviceCommand('history', {
  description:
    'Lists the newest entries of an account, oldest first; with --follow also those that are written from then on. ' +
    'With --json one object per line.',
  examples: ['acme', 'acme --follow', 'acme --last 1000 --kind COMMIT CHARGE --json'],
})
  .argument('<account>')
  .option('--follow', 'wait for more, until it is interrupted', false)
  .option(
    '--last <number>',
    'how many entries to begin with, before they are filtered',
    wholeNumber,
    50,
  )
  .option('--kind <kind...>', 'only these, such as COMMIT', [])
  .option('--reference <text>', 'only those with this reference', '')
  .action(
    exitWith(async (accountId: string, options: Options) => {
      const kinds = options.kind.map(kindOf);
      const { follow, reference, json } = options;
      let afterSeq: bigint | undefined;
      await withService(options, async (scrip) => {
        if (afterSeq === undefined) {
          afterSeq = await seqBefore(scrip, accountId, BigInt(options.last));
          if (!json) await write(process.stdout, `${headingOf(HEADING)}\n`);
        }
        // The next address goes on where the one before has ended.
        const request = { accountId, afterSeq, follow, reference, kinds };
        for await (const entry of entriesOf(scrip, request)) {
          await write(process.stdout, `${json ? toJson(named(Entry, entry)) : lineOf(entry)}\n`);
          afterSeq = entry.seq;
        }
      });
      return 0;
    }),
  );

/** seq of the entry before the `last` newest ones. */
async function seqBefore(scrip: Scrip, accountId: string, last: bigint): Promise<bigint> {
  const { balance } = await scrip.billing.getBalance({ accountId }, deadline());
  const seq = balance?.seq ?? 0n;
  return seq > last ? seq - last : 0n;
}

type Request = Parameters<Scrip['billing']['streamHistory']>[0] & {
  readonly accountId: string;
  readonly afterSeq: bigint;
};

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
