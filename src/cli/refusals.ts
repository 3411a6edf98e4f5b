/** `refusals`: the calls that the replicas refused last. Each remembers its own, so that each is asked. */

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { connect, ScripError } from '../client.ts';
import type { ListRefusalsResponse, Refusal } from '../gen/billing/v1/operator_service.ts';
import { argumentError, exitWith } from './command.ts';
import { NO_ANSWER, NOT_FOUND } from './exit-codes.ts';
import { toJson } from './json.ts';
import { firstOf, toLimit } from './options.ts';
import { instant, printLines, who } from './print.ts';
import {
  addressesOf,
  CallError,
  deadline,
  type ServiceOptions,
  serviceCommand,
  shownTo,
  toCallError,
  untilAdmitted,
} from './service-call.ts';
import { table } from './table.ts';
import { traceIdOf } from './trace-ids.ts';

type Options = ServiceOptions & {
  readonly account: string;
  readonly by: string;
  readonly reason: string;
  readonly method: string;
  readonly id: string;
  readonly limit: number;
};

type Replica = {
  readonly address: string;
  readonly of: Pick<ListRefusalsResponse, 'replicaId' | 'since' | 'dropped'>;
  readonly refusals: readonly Refusal[];
};

export const refusals = serviceCommand('refusals', {
  description:
    'Lists the calls that failed last, newest first. Each replica remembers its own, in memory: every address that ' +
    'the name of the host stands for is asked; --address can name several. Exits with 1 if there are none.',
  examples: [
    '--account acme',
    '--reason OVERLOADED --limit 10',
    '--id 4bf92f3577b34da6a3ce929d0e0e4736',
    '--address scrip-headless:50051',
    '--address 10.0.0.1:50051,10.0.0.2:50051',
  ],
})
  .option('--account <account>', 'only calls on this account', '')
  .option('--by <caller>', 'only calls of this caller', '')
  .option('--reason <reason>', 'only those that failed for it, such as INSUFFICIENT_CREDITS', '')
  .option('--method <method>', 'only calls of this method, such as Reserve', '')
  .option('--id <id>', 'only calls with this trace, request or reservation id', '')
  .option('--limit <number>', 'at most so many of each replica', toLimit, 50)
  .action(
    exitWith(async (options: Options) => {
      const { replicas, unanswered } = await askAll(options);
      const all = replicas
        .flatMap(({ refusals, of }) =>
          refusals.map((refusal) => ({ replicaId: of.replicaId, refusal })),
        )
        .toSorted((a, b) => Number(b.refusal.at ?? 0) - Number(a.refusal.at ?? 0));
      if (options.json) printLines([toJson({ replicas, unanswered }, 2)]);
      else if (all.length > 0) printLines(linesOf(all));
      for (const { of, address } of replicas)
        process.stderr.write(
          `${of.replicaId} (${address}): remembers since ${instant(of.since)}, has forgotten ${of.dropped}\n`,
        );
      for (const { address, message } of unanswered)
        process.stderr.write(`${address}: not asked: ${message}\n`);
      if (unanswered.length > 0)
        throw new CallError('not every replica has answered', unanswered[0]?.exitCode ?? 0);
      return all.length > 0 ? 0 : NOT_FOUND;
    }),
  );

type Unanswered = {
  readonly address: string;
  readonly message: string;
  readonly exitCode: number;
};

/** An address of a replica, and the name that its certificate has. */
type Target = { readonly address: string; readonly name: string };

async function askAll(options: Options) {
  const targets = (await Promise.all(addressesOf(options).map(resolve))).flat();
  const replicas = new Map<string, Replica>();
  const unanswered: Unanswered[] = [];
  // All at once: one that does not answer keeps nobody from seeing the others.
  for (const answer of await Promise.all(targets.map((target) => askOrTell(target, options))))
    if ('message' in answer) unanswered.push(answer);
    else replicas.set(answer.of.replicaId, answer);
  // One service listens on one of the addresses of this machine that "localhost" stands for.
  const isLocalhost = replicas.size > 0 && targets.every(({ name }) => name === 'localhost');
  return { replicas: [...replicas.values()], unanswered: isLocalhost ? [] : unanswered };
}

async function askOrTell(target: Target, options: Options): Promise<Replica | Unanswered> {
  try {
    return await ask(target, options);
  } catch (error) {
    if (!(error instanceof ScripError)) throw error;
    const { address } = target;
    const { message, exitCode } = toCallError(error, address);
    return { address, message, exitCode };
  }
}

/** All addresses that the name of a host stands for. */
async function resolve(hostAndPort: string): Promise<readonly Target[]> {
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(hostAndPort) ?? [];
  if (port === '') throw argumentError(`${hostAndPort} must be host:port`);
  const name = host.replace(/^\[(.*)\]$/, '$1');
  const found = isIP(name) ? [name] : await lookup(name, { all: true }).then(ipsOf, noHost);
  return found.map((ip) => ({
    name,
    address: ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`,
  }));
}

const ipsOf = (found: readonly { readonly address: string }[]): readonly string[] =>
  found.map(({ address }) => address);

function noHost(error: Error): never {
  throw new CallError(
    `${error.message}; name the service with --address or SCRIP_ADDRESS`,
    NO_ANSWER,
  );
}

/** A replica answers from its memory: one that takes longer hangs. */
const ANSWERS_WITHIN_MS = 10_000;

async function ask({ address, name }: Target, options: Options): Promise<Replica> {
  const channel = isIP(name) ? {} : { 'grpc.ssl_target_name_override': name };
  const scrip = connect(address, { ...shownTo(options), channel });
  const { account: accountId, by: caller, reason, method, id, limit } = options;
  try {
    let of: Replica['of'] = { replicaId: '', since: undefined, dropped: 0n };
    // The service knows no filter by id, and remembers a few thousand at most.
    const { rows } = await firstOf(id ? Infinity : limit, async (pageToken, pageSize) => {
      const request = { accountId, caller, reason, method, pageToken, pageSize };
      const page = await untilAdmitted(() =>
        scrip.operator.listRefusals(request, deadline(ANSWERS_WITHIN_MS)),
      );
      of = { replicaId: page.replicaId, since: page.since, dropped: page.dropped };
      return [page.refusals, page.nextPageToken];
    });
    return { address, of, refusals: id ? rows.filter(hasId(id)).slice(0, limit) : rows };
  } finally {
    scrip.close();
  }
}

const hasId = (id: string) => {
  const wanted = traceIdOf(id) ?? id;
  return ({ traceId, requestId, reservationId }: Refusal): boolean =>
    [traceId, requestId, reservationId].includes(wanted);
};

const linesOf = (
  all: readonly { readonly replicaId: string; readonly refusal: Refusal }[],
): readonly string[] =>
  table(
    [
      { title: 'at' },
      { title: 'reason' },
      { title: 'method' },
      { title: 'account' },
      { title: 'by' },
      { title: 'reservation' },
      { title: 'request' },
      { title: 'trace' },
      { title: 'replica' },
      { title: 'message' },
    ],
    all.map(({ replicaId, refusal }) => [
      instant(refusal.at),
      refusal.reason,
      refusal.method.replace(/^billing\.v1\./, ''),
      refusal.accountId,
      who(refusal),
      refusal.reservationId,
      refusal.requestId,
      refusal.traceUrl || refusal.traceId,
      replicaId,
      refusal.message,
    ]),
  );
