/**
 * Which server of a Citus cluster has the schema of a cell. Replicas connect to it directly: what goes through another
 * server of the cluster works, and costs twice the CPU of the databases.
 */
import type pg from 'pg';
import { verifiesAddress } from '../database-host.ts';
import type { CellAddress } from './cells-file.ts';
import { withClient } from './recorded-map.ts';

/** As `pg_dist_node` names it. */
export type CitusServer = { readonly host: string; readonly port: number };

/** All tables of a distributed schema are on one server. Every server of the cluster can be asked. */
const SERVER_OF_SCHEMA = `
  select node.nodename as host, node.nodeport as port
  from pg_catalog.pg_dist_schema as schema
  join pg_catalog.pg_dist_partition as part on part.colocationid = schema.colocationid
  join pg_catalog.pg_dist_shard as shard on shard.logicalrelid = part.logicalrelid
  join pg_catalog.pg_dist_placement as placement on placement.shardid = shard.shardid
  join pg_catalog.pg_dist_node as node on node.groupid = placement.groupid and node.noderole = 'primary'
  where schema.schemaid = to_regnamespace($1)
  limit 1`;

/** The server that has a schema; null: the cluster does not distribute it. */
export async function serverOf(client: pg.Client, schema: string): Promise<CitusServer | null> {
  const found = await client.query(`select to_regclass('pg_catalog.pg_dist_schema') as citus`);
  if (!found.rows[0]?.citus)
    throw new Error(
      'the database has no Citus: install the extension, or remove citus of the cell',
    );
  const { rows } = await client.query<CitusServer>(SERVER_OF_SCHEMA, [schema]);
  return rows[0] ?? null;
}

/** Where a cell is at the moment: its own URL, but for a schema that Citus distributes, whose server is looked up. */
export async function presentAddress(cell: CellAddress): Promise<CellAddress> {
  if (cell.citusSchema === undefined) return cell;
  return { ...cell, url: (await CitusNode.find(cell.url, cell.citusSchema)).url };
}

/** The server that has the schema of a cell, followed when the schema moves. */
export class CitusNode {
  readonly #coordinatorUrl: string;
  readonly #schema: string;
  #url: string;
  /** Called when no connection to the server can be made. */
  unreachable: () => void = () => {};

  /** Rejects where the coordinator cannot be reached, or does not distribute the schema. */
  static async find(coordinatorUrl: string, schema: string): Promise<CitusNode> {
    const node = new CitusNode(coordinatorUrl, schema);
    await node.askCoordinator();
    return node;
  }

  private constructor(coordinatorUrl: string, schema: string) {
    this.#coordinatorUrl = coordinatorUrl;
    this.#schema = schema;
    this.#url = coordinatorUrl;
  }

  /** The URL of the cell on this server. */
  get url(): string {
    return this.#url;
  }

  /** Asks a server that had the schema, which also knows where it went: the coordinator is not needed. */
  async ask(client: pg.Client): Promise<void> {
    const server = await serverOf(client, this.#schema);
    if (!server)
      throw new Error(`schema ${this.#schema} is not distributed: run scrip cells place`);
    this.#url = urlOn(this.#coordinatorUrl, server);
  }

  /** After the server was lost: another may have the schema, or the server may have another name. */
  async askCoordinator(): Promise<void> {
    await withClient(this.#coordinatorUrl, (client) => this.ask(client));
  }
}

/** The same database on another server. Throws where its certificate could not be compared with its name. */
export function urlOn(url: string, { host, port }: CitusServer): string {
  const changed = new URL(url);
  if (changed.searchParams.has('host') || changed.searchParams.has('port')) {
    changed.searchParams.delete('host');
    changed.searchParams.delete('port');
    // libpq does not read a plus sign as a space.
    changed.search = changed.search.replaceAll('+', '%20');
  }
  changed.hostname = host.includes(':') ? `[${host}]` : host;
  changed.port = String(port);
  if (verifiesAddress(changed.href))
    throw new Error(
      `the cluster knows a server as ${host}: no certificate is compared with an IP address, so give it a name ` +
        '(citus_update_node)',
    );
  return changed.href;
}
