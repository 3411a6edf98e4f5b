/** `trace`: the whole path of a charge, from any of its ids. */

import { Option } from 'commander';
import { type Scrip, ScripError } from '../client.ts';
import { ChargeCandidate, ChargePath } from '../gen/billing/v1/operator_service.ts';
import { argumentError, exitWith } from './command.ts';
import { AMBIGUOUS } from './exit-codes.ts';
import { named, toJson } from './json.ts';
import { toLimit } from './options.ts';
import { printLines } from './print.ts';
import {
  deadline,
  notFound,
  type ServiceOptions,
  serviceCommand,
  withService,
} from './service-call.ts';
import { type AskedId, ID_KINDS, type IdKind, possibleIds } from './trace-ids.ts';
import { candidateLines, pathLines } from './trace-lines.ts';

type Options = ServiceOptions & {
  readonly account: string;
  readonly kind?: IdKind;
  readonly limit: number;
};

export const trace = serviceCommand('trace', {
  description:
    'Shows the path of a charge, from the reservation to the last refund. ID is a trace id or traceparent, a reservation, a ' +
    'request id, a reference, a purchase, or an entry as ACCOUNT/SEQ. What the form of ID does not tell is looked for ' +
    'as each kind that it can be. If several charges have it, they are listed, and none is picked: exit code 5.',
  examples: [
    '4bf92f3577b34da6a3ce929d0e0e4736',
    '0198f0c4-6a5e-7c3a-9b1d-2e4f6a8b0c1d',
    'acme/17',
    'job-2026-11-29 --account acme --json',
  ],
})
  .argument('<id>')
  .option('--account <account>', 'only charges of this account', '')
  .addOption(new Option('--kind <kind>', 'what ID is').choices(ID_KINDS))
  .option('--limit <number>', 'at most so many charges', toLimit, 20)
  .action(
    exitWith(async (id: string, options: Options) => {
      const ids = possibleIds(id, options.account, options.kind);
      if (ids.length === 0) throw argumentError(`${id} is no ${options.kind ?? 'id'}`);
      const found = await withService(options, (scrip) => find(scrip, ids, options.limit));
      const { paths, candidates } = found;
      if (paths.length + candidates.length === 0)
        throw notFound(
          `no charge has ${id} as ${ids.map(({ kind }) => kind).join(', ')}; a call that was refused left none: refusals --id finds it`,
        );
      if (options.json) printLines([toJson(withNames(found), 2)]);
      else printLines(linesOf(found));
      if (found.hasMore)
        process.stderr.write(`there are more than ${options.limit}: raise --limit\n`);
      if (found.truncated)
        process.stderr.write(
          'too many entries have it to look at all of them: name the --account, or another id\n',
        );
      return paths.length > 0 ? 0 : AMBIGUOUS;
    }),
  );

type Found = {
  /** What the id was found to be. */
  readonly foundAs: readonly IdKind[];
  readonly paths: readonly ChargePath[];
  readonly candidates: readonly ChargeCandidate[];
  readonly hasMore: boolean;
  /** More entries have the id than the service looks at. */
  readonly truncated: boolean;
};

const withNames = (found: Found) => ({
  ...found,
  paths: found.paths.map((path) => named(ChargePath, path)),
  candidates: found.candidates.map((candidate) => named(ChargeCandidate, candidate)),
});

/** Asks for each of the ids, and puts together what is found. */
async function find(scrip: Scrip, ids: readonly AskedId[], limit: number): Promise<Found> {
  const answers = await Promise.all(ids.map((id) => ask(scrip, id, limit)));
  const paths = new Map<string, ChargePath>();
  for (const path of answers.flatMap((answer) => answer.paths)) {
    const name = toJson(path.key);
    if (!paths.has(name)) paths.set(name, path);
  }
  return {
    foundAs: ids.flatMap(({ kind }, index) => (answers[index]?.isFound ? [kind] : [])),
    paths: [...paths.values()],
    candidates: answers.flatMap((answer) => answer.candidates),
    hasMore: answers.some((answer) => answer.hasMore),
    truncated: answers.some((answer) => answer.truncated),
  };
}

async function ask({ operator }: Scrip, { id, accountId }: AskedId, limit: number) {
  const paths: ChargePath[] = [];
  const candidates: ChargeCandidate[] = [];
  let pageToken = '';
  let truncated = false;
  try {
    do {
      const pageSize = Math.min(100, limit - paths.length - candidates.length);
      const page = await operator.traceCharge({ id, accountId, pageSize, pageToken }, deadline());
      paths.push(...page.paths);
      candidates.push(...page.candidates);
      pageToken = page.nextPageToken;
      truncated ||= page.truncated;
    } while (pageToken !== '' && paths.length + candidates.length < limit);
  } catch (error) {
    // It is not of this kind.
    if (!(error instanceof ScripError) || error.reason !== 'CHARGE_NOT_FOUND') throw error;
    return { paths, candidates, isFound: false, hasMore: false, truncated };
  }
  return { paths, candidates, isFound: true, hasMore: pageToken !== '', truncated };
}

function linesOf({ foundAs, paths, candidates }: Found): readonly string[] {
  const lines = [`found as ${foundAs.join(', ')}`];
  for (const path of paths) lines.push('', ...pathLines(path));
  if (candidates.length > 0)
    lines.push('', 'several charges have it; trace one of them:', ...candidateLines(candidates));
  return lines;
}
