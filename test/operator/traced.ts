/** Calls in traces of their own, and the paths of charges. */
import { randomBytes } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';
import { memberName } from '../../src/cli/member-name.ts';
import type { Scrip } from '../../src/client.ts';
import { Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import type { ChargePath, TraceChargeResponse } from '../../src/gen/billing/v1/operator_service.ts';
import { defined } from '../accounts.ts';
import { requestId } from '../service.ts';

export type Trace = { readonly traceId: string; readonly metadata: Metadata };

/** Request metadata that puts a call into a new trace. */
export function newTrace(): Trace {
  const traceId = randomBytes(16).toString('hex');
  const metadata = new Metadata();
  metadata.set('traceparent', `00-${traceId}-${randomBytes(8).toString('hex')}-01`);
  return { traceId, metadata };
}

export const named = (accountId: string) => ({ accountId, requestId: requestId() });

type Id = NonNullable<Parameters<Scrip['operator']['traceCharge']>[0]['id']>;

/** Everything that an id leads to, page by page. */
export async function traceAll(
  { operator }: Pick<Scrip, 'operator'>,
  id: Id,
  accountId = '',
  pageSize = 0,
): Promise<Omit<TraceChargeResponse, 'nextPageToken'>> {
  const paths: ChargePath[] = [];
  const candidates: TraceChargeResponse['candidates'] = [];
  for (let pageToken = ''; ; ) {
    const page = await operator.traceCharge({ id, accountId, pageSize, pageToken });
    paths.push(...page.paths);
    candidates.push(...page.candidates);
    pageToken = page.nextPageToken;
    if (pageToken === '') return { paths, candidates, truncated: page.truncated };
  }
}

/** The one path that an id leads to. */
export async function pathOf(
  scrip: Pick<Scrip, 'operator'>,
  id: Id,
  accountId = '',
): Promise<ChargePath> {
  const { paths, candidates } = await traceAll(scrip, id, accountId);
  if (paths.length !== 1 || candidates.length > 0)
    throw new Error(`${paths.length} paths and ${candidates.length} candidates`);
  return defined(paths[0]);
}

export const kindsOf = ({ steps }: ChargePath): readonly string[] =>
  steps.map(({ entry }) => memberName(Entry_Kind, defined(entry).kind));

export const seqsOf = ({ steps }: ChargePath): readonly bigint[] =>
  steps.map(({ entry }) => defined(entry).seq);

/** Of the steps that have the id that was asked for. */
export const foundKinds = ({ steps }: ChargePath): readonly string[] =>
  steps.flatMap(({ entry, found }) => (found ? [memberName(Entry_Kind, defined(entry).kind)] : []));
