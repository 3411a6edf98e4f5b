/**
 * What is wrong in a plan file, said so that its author can mend it: where, and why. The shapes are
 * checked by zod; this file turns what zod found into those words.
 */
import type { z } from 'zod';

/** Where in the file's tree an error stands: keys and list positions from the root. */
export type Path = readonly PropertyKey[];

export type ValidationError = { readonly path: Path; readonly reason: string };

const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_-]*$/;

/** A path as text, such as `operations["image.resize"].components[0].credits`. */
export function formatPath(path: Path): string {
  if (path.length === 0) return '(whole file)';
  return path
    .map((key) => {
      if (typeof key === 'number') return `[${key}]`;
      const name = String(key);
      return PLAIN_KEY.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
    })
    .join('')
    .replace(/^\./, '');
}

/** `value` as `schema` reads it, or every error of its shape. */
export function validate<T>(
  schema: z.ZodType<T>,
  value: unknown,
): { readonly read: T } | { readonly errors: readonly ValidationError[] } {
  const result = schema.safeParse(value, { error: reasonOf });
  if (result.success) return { read: result.data };
  const errors = result.error.issues.flatMap((issue): ValidationError[] => {
    if (issue.code !== 'unrecognized_keys') return [{ path: issue.path, reason: issue.message }];
    return issue.keys.map((key) => ({ path: [...issue.path, key], reason: 'unknown key' }));
  });
  return { errors };
}

/**
 * `value` as `schema` reads it, or undefined where it has an error. Unknown keys of its own are
 * left out first: they are an error by themselves, and must not hide another one.
 */
export function parseOrUndefined<T>(schema: z.ZodType<T>, value: unknown): T | undefined {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const unknown = result.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' && issue.path.length === 0 ? issue.keys : [],
  );
  if (unknown.length === 0) return undefined;
  const known = Object.entries(asMapping(value)).filter(([key]) => !unknown.includes(key));
  return schema.safeParse(Object.fromEntries(known)).data;
}

/** `value` where it is a mapping, otherwise an empty one. */
export function asMapping(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** `value` where it is a list, otherwise an empty one. */
export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

const KINDS: Readonly<Record<string, string>> = {
  array: 'must be a list',
  boolean: 'must be true or false',
  object: 'must be a mapping',
  record: 'must be a mapping',
  string: 'must be text',
};

/** Words for what zod says by itself; a leaf with a rule of its own brings its own words. */
function reasonOf(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'missing key' : KINDS[issue.expected];
    case 'invalid_value':
      if (issue.input === undefined) return 'missing key';
      return `must be ${issue.values.join(' or ')}`;
    case 'invalid_union':
      return unionReason(issue);
    case 'too_small':
      return 'must not be empty';
    case 'too_big':
      return `must not be longer than ${issue.maximum}`;
    default:
      return undefined;
  }
}

function unionReason(issue: z.core.$ZodRawIssue<z.core.$ZodIssueInvalidUnion>): string | undefined {
  if (issue.input === undefined) return 'missing key';
  if (typeof issue.discriminator !== 'string') return undefined;
  const found = asMapping(issue.input)[issue.discriminator];
  return found === undefined ? 'missing key' : `must be one of ${kindsOf(issue).join(', ')}`;
}

function kindsOf(issue: z.core.$ZodRawIssue<z.core.$ZodIssueInvalidUnion>): readonly string[] {
  return asList(issue.options).map(String);
}
