/** Says what is left out where there is no cluster, and removes the schemas of the tests where there is. */
import { execute } from '../postgres.ts';
import { PREFIX } from './cluster.ts';

export default async function setup() {
  const url = process.env['CITUS_URL'];
  if (!url) {
    process.stderr.write('skipped: cells on Citus, which need a cluster in CITUS_URL\n');
    return;
  }
  await removeSchemas(url);
  return () => removeSchemas(url);
}

async function removeSchemas(url: string) {
  const schemas = await execute(
    url,
    `select quote_ident(nspname) as name from pg_namespace where starts_with(nspname, $1)`,
    [PREFIX],
  );
  for (const { name } of schemas) await execute(url, `drop schema ${name} cascade`);
}
