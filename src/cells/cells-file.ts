/** The file that lists the cells of an installation: CELLS_FILE. Pure but for the secrets that it names. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { verifiesAddress } from '../database-host.ts';
import { formatFileError, locateErrors } from '../pricing/plan-file/file-error.ts';
import { parseYaml } from '../pricing/plan-file/plan-yaml.ts';
import { validate } from '../pricing/plan-file/validation-error.ts';
import { unreadable } from '../secret-files.ts';

/** A cell, and where its ledger is. */
export type CellAddress = {
  readonly name: string;
  /** The search path of a schema of its own is in its options. */
  readonly url: string;
  /** The schema of a cell that a Citus cluster distributes: the URL is the coordinator's, and the cell is on a worker. */
  readonly citusSchema?: string;
};

/** The cell of an installation without CELLS_FILE. */
export const ONLY_CELL = 'default';

/** The cells of an installation that has one database. */
export const oneCell = (url: string): readonly CellAddress[] => [{ name: ONLY_CELL, url }];

const databaseUrl = z
  .string()
  .regex(/^postgres(ql)?:\/\/\S+$/, 'must be a postgres:// URL')
  .refine(
    (url) => !verifiesAddress(url),
    'must name the host: no certificate is compared with an IP address',
  );

const cell = z
  .strictObject({
    /** Stands in errors, logs and metrics. */
    name: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be 1 to 32 of a-z, 0-9 and -, a letter first'),
    database_url: databaseUrl.optional(),
    database_url_file: z.string().min(1).optional(),
    /** Its schema. Without: as the URL says. */
    schema: z
      .string()
      .regex(/^[a-z_][a-z0-9_]{0,62}$/, 'must be 1 to 63 of a-z, 0-9 and _, no digit first')
      .refine((name) => !name.startsWith('pg_'), 'must not begin with pg_')
      .optional(),
    /** The URL names the coordinator of a Citus cluster, which distributes the schema. */
    citus: z.boolean().default(false),
  })
  .refine(
    (given) => (given.database_url === undefined) !== (given.database_url_file === undefined),
    'must have either database_url or database_url_file',
  )
  .refine(({ citus, schema }) => !citus || schema !== undefined, {
    message: 'must be given: Citus distributes a schema',
    path: ['schema'],
  });

const schema = z.strictObject({
  cells: z
    .array(cell)
    .min(1)
    .max(64)
    .check((context) => {
      for (const [index, { name }] of context.value.entries())
        if (context.value.findIndex((other) => other.name === name) < index)
          context.issues.push({
            code: 'custom',
            input: name,
            path: [index, 'name'],
            message: 'is the name of another cell, too',
          });
    }),
});

/** The cells in the order of the file, or everything that is wrong with it, one line each. */
export function readCellsFile(
  file: string,
): { readonly cells: readonly CellAddress[] } | { readonly problems: readonly string[] } {
  try {
    return parseCellsFile(file, readFileSync(file, 'utf8'));
  } catch (error) {
    return { problems: [unreadable('CELLS_FILE', error)] };
  }
}

export function parseCellsFile(
  file: string,
  yamlText: string,
): { readonly cells: readonly CellAddress[] } | { readonly problems: readonly string[] } {
  const yaml = parseYaml(yamlText);
  const shape = yaml.content === undefined ? { errors: [] } : validate(schema, yaml.content);
  const errors = 'errors' in shape ? shape.errors : [];
  const problems = locateErrors(file, yaml, errors).map(formatFileError);
  if ('errors' in shape || problems.length > 0) return { problems };
  const cells: CellAddress[] = [];
  for (const given of shape.value.cells) {
    const { name, database_url: url, database_url_file: path = '' } = given;
    const read = url === undefined ? readSecret(name, path) : { url };
    if ('problem' in read) problems.push(read.problem);
    else cells.push(addressOf(given, read.url));
  }
  return problems.length > 0 ? { problems } : { cells };
}

function addressOf({ name, schema, citus }: z.infer<typeof cell>, url: string): CellAddress {
  if (schema === undefined) return { name, url };
  const inSchema = { name, url: withSchema(url, schema) };
  return citus ? { ...inSchema, citusSchema: schema } : inSchema;
}

function readSecret(
  name: string,
  path: string,
): { readonly url: string } | { readonly problem: string } {
  const what = `database_url_file of cell ${name}`;
  try {
    // Editors and secret stores end the file with a line break.
    const text = readFileSync(path, 'utf8').trim();
    const { success, data, error } = databaseUrl.safeParse(text);
    if (success) return { url: data };
    return { problem: `${what}: its content ${error.issues[0]?.message}` };
  } catch (error) {
    return { problem: unreadable(what, error) };
  }
}

/** The URL of a ledger in this schema: its sessions look for tables there, and nowhere else. */
export function withSchema(url: string, name: string): string {
  const changed = new URL(url);
  const options = changed.searchParams.get('options');
  changed.searchParams.delete('options');
  const all = [...(options ? [options] : []), `-c search_path=${name}`].join(' ');
  // A space as %20: libpq does not read a plus sign as one.
  const joint = changed.search === '' ? '?' : '&';
  return `${changed.href}${joint}options=${encodeURIComponent(all)}`;
}
