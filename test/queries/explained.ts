/** The plans of PostgreSQL for what a query function sends, as the sessions of the service make them. */
import pg from 'pg';
import type { Em } from '../../src/pg/orm.ts';
import { query } from '../../src/pg/query.ts';

export type PlanNode = {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  /** Of each of its loops. */
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly PlanNode[];
};

export type Sent = { readonly text: string; readonly parameters: readonly unknown[] };

/**
 * The nodes of the plans of what was sent, which is executed again, settings of the transaction included. They are the
 * generic plans: the service forces these.
 */
export const explain = (em: Em, sent: readonly Sent[]): Promise<readonly PlanNode[]> =>
  em.transactional(async (inner) => {
    const nodes: PlanNode[] = [];
    for (const one of sent) {
      if (one.text.includes('set_config')) await query(inner, one.text, one.parameters);
      else nodes.push(...(await explainOne(inner, one)));
    }
    return nodes;
  });

async function explainOne(em: Em, { text, parameters }: Sent): Promise<readonly PlanNode[]> {
  const values = parameters.map(literal);
  await query(em, `prepare explained as ${text}`, []);
  const execute = `execute explained${values.length > 0 ? ` (${values.join(', ')})` : ''}`;
  const [row] = await query<{ 'QUERY PLAN': { Plan: PlanNode }[] | string }>(
    em,
    `explain (analyze, format json) ${execute}`,
    [],
  );
  await query(em, 'deallocate explained', []);
  const plan = row?.['QUERY PLAN'];
  const [{ Plan: root }] = typeof plan === 'string' ? JSON.parse(plan) : plan;
  return [...nodesOf(root)];
}

export function* nodesOf(node: PlanNode): Generator<PlanNode> {
  yield node;
  for (const child of node.Plans ?? []) yield* nodesOf(child);
}

/** Rows of a table that the nodes have read, kept or not. */
export const rowsRead = (nodes: readonly PlanNode[], table: string): number =>
  nodes
    .filter((node) => node['Relation Name'] === table)
    .reduce(
      (sum, node) =>
        sum + (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'],
      0,
    );

function literal(value: unknown): string {
  if (Array.isArray(value)) return `array[${value.map(literal).join(', ')}]`;
  if (value instanceof Uint8Array) return `'\\x${Buffer.from(value).toString('hex')}'`;
  return typeof value === 'string' ? pg.escapeLiteral(value) : String(value);
}
