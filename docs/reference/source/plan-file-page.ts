/** The reference of plan files, made of the schema that reads them. */
import { z } from 'zod';
import { parsePlanFile, planFile } from '../../../src/pricing/plan-file/plan-file.ts';
import { planTermsToJson } from '../../../src/pricing/plan-file/plan-json.ts';

/** What the page needs of JSON Schema. `form` is a scalar in words. */
type Schema = {
  readonly type?: string;
  readonly description?: string;
  readonly form?: string;
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | false;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  /** Decimal text: JSON has no integers of 64 bits. */
  readonly minimum?: string;
  readonly maximum?: string;
};

const INTRODUCTION = `<!-- Generated from src/pricing/plan-file by \`npm run reference\`. -->

# Plan files

A plan file is YAML: the terms, packs and prices of one plan. [Plans](../../deploy/plans/README.md) says how it is checked and published,
[pricing](../../src/pricing/README.md) has an example of each key, and \`npm run scrip -- plans check\` reports every error with its line.

Whole numbers have no point, no exponent and no quotes. A key that is not listed here is an error. So are anchors, aliases, merge keys, tags
and directives of YAML.
`;

export function planFilePage(): string {
  const root = schemaOf(planFile);
  const sections = Object.entries(root.properties ?? {})
    .filter(([key, schema]) => isMapping(innerOf(schema)) && key !== 'changes')
    .map(([key, schema]) => `## ${key}\n\n${schema.description}\n\n${keysOf(key, schema)}`);
  const { changes } = root.properties ?? {};
  const change = changes?.items;
  if (!change?.properties) throw new Error('the schema has no changes');
  const ofChanges = `## changes\n\n${changes?.description}\n\n${table(rowsOf(change, '', 1))}`;
  return `${INTRODUCTION}\n${table(rowsOf(root, '', 1))}\n${sections.join('\n')}\n${ofChanges}`;
}

function schemaOf(schema: z.ZodType): Schema {
  return z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema._zod.def.type !== 'bigint') return;
      const limits = (zodSchema._zod.def.checks ?? []).map(({ _zod: { def } }) => {
        const { check, value } = def as { readonly check: string; readonly value?: bigint };
        return [check === 'greater_than' ? 'minimum' : 'maximum', String(value)];
      });
      Object.assign(jsonSchema, { type: 'integer', ...Object.fromEntries(limits) });
    },
  }) as unknown as Schema;
}

/** A section of the file: its keys, and each mapping that lies in it. */
function keysOf(section: string, schema: Schema): string {
  if (section !== 'operations') return table(rowsOf(innerOf(schema)));
  const operation = innerOf(schema);
  const kinds = innerOf(operation.properties?.['components'] ?? {}).oneOf ?? [];
  return [
    table(rowsOf(operation)),
    '### components\n',
    ...kinds.map((kind) => {
      const { kind: name, ...properties } = kind.properties ?? {};
      const heading = `#### ${name?.const}\n\n${kind.description}\n`;
      return `${heading}\n${table(rowsOf({ ...kind, properties }))}`;
    }),
  ].join('\n');
}

const table = (rows: readonly string[]): string =>
  `| key | value | meaning |\n| --- | --- | --- |\n${rows.join('\n')}\n`;

/** A row for each key of a mapping, and of the mappings in it down to `depth`. */
function rowsOf(
  { properties = {}, required = [] }: Schema,
  prefix = '',
  depth = Number.POSITIVE_INFINITY,
): readonly string[] {
  return Object.entries(properties).flatMap(([key, schema]) => {
    const path = `${prefix}${key}`;
    const inner = innerOf(schema);
    const isDeep = depth > 1 && inner.properties !== undefined;
    const value = isDeep ? shapeOf(schema) : valueIn(schema);
    const meaning = `${schema.description ?? ''}${defaultOf(path, schema, required.includes(key))}`;
    const cells = [`\`${path}\``, value, meaning].map((cell) => cell.replaceAll('|', '\\|'));
    const row = `| ${cells.join(' | ')} |`;
    return isDeep ? [row, ...rowsOf(inner, `${path}${keyOf(schema)}.`, depth - 1)] : [row];
  });
}

/** What follows the path of a mapping by names, or of a list. */
const keyOf = (schema: Schema): string => {
  const given = nullless(schema);
  if (given.items) return '[]';
  return given.additionalProperties ? '.*' : '';
};

/** The schema of what is given, without null. */
const nullless = (schema: Schema): Schema => {
  const { anyOf, ...rest } = schema;
  const options = (anyOf ?? []).filter(({ type }) => type !== 'null');
  return anyOf && options.length === 1 ? { ...options[0], ...rest } : schema;
};

/** The schema of a mapping, of each mapping that lies under a name, or of each of a list. */
function innerOf(schema: Schema): Schema {
  const given = nullless(schema);
  if (given.items) return given.items;
  return given.additionalProperties ? given.additionalProperties : given;
}

const isMapping = ({ type, oneOf }: Schema): boolean => type === 'object' || oneOf !== undefined;

function shapeOf(schema: Schema): string {
  const given = nullless(schema);
  if (given.items) return 'a list of mappings';
  return given.additionalProperties ? 'mappings by name' : 'a mapping';
}

function valueIn(schema: Schema): string {
  const given = nullless(schema);
  if (given.form) return given.form;
  if (given.const !== undefined) return `\`${given.const}\``;
  if (given.enum) return given.enum.map((value) => `\`${value}\``).join(' or ');
  if (given.anyOf) return given.anyOf.map(choiceIn).join(', or ');
  if (given.type === 'integer') return integerOf(given);
  if (given.type === 'boolean') return '`true` or `false`';
  if (given.items && !isMapping(given.items)) return `a list: each ${valueIn(given.items)}`;
  if (given.additionalProperties && !isMapping(given.additionalProperties))
    return `by name: ${valueIn(given.additionalProperties)}`;
  return isMapping(innerOf(given)) ? shapeOf(given) : 'text';
}

/** A mapping with one key is written out where other values stand beside it. */
function choiceIn(schema: Schema): string {
  const [[key, value] = []] = Object.entries(schema.properties ?? {});
  return key && value ? `\`{ ${key}: \u2026 }\`, ${valueIn(value)}` : valueIn(schema);
}

const INT64_MAX = String(2n ** 63n - 1n);

function integerOf({ minimum, maximum }: Schema): string {
  const end = maximum === undefined || maximum === INT64_MAX ? '' : ` to ${maximum}`;
  return `a whole number from ${minimum}${end}`;
}

/** What a key is that is left out. Of terms, it is what a file without them means. */
function defaultOf(path: string, { default: given }: Schema, isRequired: boolean): string {
  if (isRequired) return ' Required.';
  const term = TERMS[path] ?? given;
  if (term === undefined || term === null || typeof term === 'object') return '';
  return ` Default: \`${term}\`.`;
}

/** Terms of a file that states none, by their paths. */
const TERMS = defaultTerms();

function defaultTerms(): Readonly<Record<string, string>> {
  const parsed = parsePlanFile(
    'defaults.yaml',
    'plan_id: defaults\ntitle: Defaults\nterms: {}\npacks: []\noperations: { a: { title: A, billable: false } }\n',
  );
  if ('errors' in parsed) throw new Error(JSON.stringify(parsed.errors));
  const { terms } = planTermsToJson(parsed.plan) as { readonly terms: object };
  const flat = Object.entries(terms).flatMap(([key, value]): [string, string][] => {
    if (Array.isArray(value)) return [[key, `[${value.join(', ')}]`]];
    if (value === null || typeof value !== 'object') return value === null ? [] : [[key, value]];
    return Object.entries(value).map(([inner, text]) => [`${key}.${inner}`, String(text)]);
  });
  return Object.fromEntries(flat);
}
