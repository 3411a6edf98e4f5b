/**
 * Validation errors of plan files: where in the file, and why, in words for its author. Zod validates the
 * shapes; this file turns its issues into such errors.
 */
import type { z } from 'zod';

/** Keys and list indexes from the root of the file to the error. */
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

/** The value as the schema transforms it, or all validation errors. */
export function validate<T>(
  schema: z.ZodType<T>,
  value: unknown,
): { readonly value: T } | { readonly errors: readonly ValidationError[] } {
  const result = schema.safeParse(value, { error: describeIssue });
  if (result.success) return { value: result.data };
  const errors = result.error.issues.flatMap((issue): ValidationError[] => {
    if (issue.code !== 'unrecognized_keys') return [{ path: issue.path, reason: issue.message }];
    return issue.keys.map((key) => ({ path: [...issue.path, key], reason: 'unknown key' }));
  });
  return { errors };
}

/**
 * The value as the schema transforms it, or undefined if it is invalid. Unknown keys at its top level are
 * ignored: they are reported as errors of their own, and must not hide others.
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

/** The value if it is a mapping, otherwise an empty mapping. */
export function asMapping(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** The value if it is a list, otherwise an empty list. */
export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

const TYPE_REASONS: Readonly<Record<string, string>> = {
  array: 'must be a list',
  boolean: 'must be true or false',
  object: 'must be a mapping',
  record: 'must be a mapping',
  string: 'must be text',
};

/** The reason for zod's own issues. Schemas with rules of their own bring their own reasons. */
function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'missing key' : TYPE_REASONS[issue.expected];
    case 'invalid_value':
      if (issue.input === undefined) return 'missing key';
      return `must be ${issue.values.join(' or ')}`;
    case 'invalid_union':
      return describeUnionIssue(issue);
    case 'too_small':
      return 'must not be empty';
    case 'too_big':
      return `must not be longer than ${issue.maximum}`;
    default:
      return undefined;
  }
}

function describeUnionIssue(
  issue: z.core.$ZodRawIssue<z.core.$ZodIssueInvalidUnion>,
): string | undefined {
  if (issue.input === undefined) return 'missing key';
  if (typeof issue.discriminator !== 'string') return undefined;
  const found = asMapping(issue.input)[issue.discriminator];
  return found === undefined ? 'missing key' : `must be one of ${kindsOf(issue).join(', ')}`;
}

function kindsOf(issue: z.core.$ZodRawIssue<z.core.$ZodIssueInvalidUnion>): readonly string[] {
  return asList(issue.options).map(String);
}
