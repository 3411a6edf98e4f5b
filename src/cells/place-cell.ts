/** Puts the schema of a cell on a server of its Citus cluster, and moves it from one to another. */
import type pg from 'pg';
import type { CellAddress } from './cells-file.ts';
import { type CitusServer, serverOf } from './citus-node.ts';
import { withClient } from './recorded-map.ts';

/** Copies of large ledgers take hours. */
const MOVE_MAX_MS = 7 * 24 * 3_600_000;

/** What was done. */
export type Placement = {
  /** Whether the schema was an ordinary one of the coordinator until now. */
  readonly isNew: boolean;
  /** Where it was, once distributed. */
  readonly from: string;
  readonly to: string;
};

/**
 * Distributes the schema of a cell, unless it is, and has Citus move it to a server while it is used. `node` is
 * `HOST:PORT` as the cluster names it. Rejects before it changes anything where the cell is none of a cluster, its
 * schema is missing, or the cluster has no such server that takes tables.
 */
export async function placeCell(cell: CellAddress, node: string): Promise<Placement> {
  const { name, url, citusSchema: schema } = cell;
  if (schema === undefined)
    throw new Error(`cell ${name} is in no Citus cluster: its entry has no citus: true`);
  return await withClient(
    url,
    async (client) => {
      const before = await serverOf(client, schema);
      const server = await findServer(client, node);
      if (!before) await distribute(client, name, schema);
      const at = before ?? (await serverOf(client, schema));
      if (!at) throw new Error(`schema ${schema} has no tables: run scrip migrate`);
      if (formatServer(at) !== formatServer(server)) await move(client, schema, server);
      return {
        isNew: before === null,
        from: formatServer(at),
        to: formatServer(server),
      };
    },
    MOVE_MAX_MS,
  );
}

export const formatServer = ({ host, port }: CitusServer): string => `${host}:${port}`;

async function findServer(client: pg.Client, wanted: string): Promise<CitusServer> {
  const { rows } = await client.query<CitusServer>(
    `select nodename as host, nodeport as port from pg_catalog.pg_dist_node
     where noderole = 'primary' and isactive and shouldhaveshards order by groupid`,
  );
  const found = rows.find((server) => formatServer(server) === wanted);
  if (found) return found;
  const names = rows.map(formatServer).join(', ') || 'none';
  throw new Error(`the cluster has no server ${wanted} that takes tables: there are ${names}`);
}

/** Writes wait while it runs: a cell is distributed before it is used. */
async function distribute(client: pg.Client, cell: string, schema: string) {
  const { rows } = await client.query('select to_regclass($1) as found', [`${schema}.accounts`]);
  if (!rows[0]?.found) throw new Error(`cell ${cell} has no ledger yet: run scrip migrate`);
  await client.query('select citus_schema_distribute($1)', [schema]);
  // Those that no table or view needs stay behind. What later migrations make is made everywhere.
  await client.query(
    `select create_distributed_function(function.oid::regprocedure)
     from pg_catalog.pg_proc as function
     where function.pronamespace = to_regnamespace($1) and not exists (
       select from pg_catalog.pg_dist_object as known
       where known.classid = 'pg_catalog.pg_proc'::regclass and known.objid = function.oid)`,
    [schema],
  );
  await repeatPrivileges(client, schema);
}

/** Citus makes functions on the other servers without their privileges, so that everybody may call them there. */
async function repeatPrivileges(client: pg.Client, schema: string) {
  const { rows } = await client.query<{ statement: string }>(
    `with functions as (
       select oid::regprocedure as name, proacl from pg_catalog.pg_proc
       where pronamespace = to_regnamespace($1) and proacl is not null
     )
     select format('revoke all on function %s from public', name) as statement from functions
     union all
     select format('grant execute on function %s to %s', name,
       coalesce(nullif(grantee, 0)::regrole::text, 'public'))
     from functions, aclexplode(proacl)`,
    [schema],
  );
  for (const { statement } of rows) await client.query(statement);
}

/** By logical replication: only its end holds up writes, for about a second. */
async function move(client: pg.Client, schema: string, { host, port }: CitusServer) {
  await client.query(
    `select citus_schema_move($1, $2, $3, shard_transfer_mode := 'force_logical')`,
    [schema, host, port],
  );
}
