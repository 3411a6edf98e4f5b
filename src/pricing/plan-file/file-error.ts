/** Errors of a file, for its author: which file, which line, where in it, and why. */
import type { ParsedYaml } from './plan-yaml.ts';
import { formatPath, type ValidationError } from './validation-error.ts';

/**
 * `path` is where in the file: `operations["image.resize"].components[0].credits`, or line and column of
 * a YAML syntax error.
 */
export type FileError = {
  readonly file: string;
  /** The line of `path`. Null: `path` says it, or the error is not about a part of the file. */
  readonly line: number | null;
  readonly path: string;
  readonly reason: string;
};

/** The errors of a file's YAML, and those of its content with their lines. */
export const locateErrors = (
  file: string,
  { errors, findLine }: ParsedYaml,
  contentErrors: readonly ValidationError[],
): readonly FileError[] => [
  ...errors.map((error) => ({ file, line: null, ...error })),
  ...contentErrors.map(({ path, reason }) => ({
    file,
    line: findLine(path),
    path: formatPath(path),
    reason,
  })),
];

/** One line for people. */
export const formatFileError = ({ file, line, path, reason }: FileError): string =>
  [file, line && `line ${line}`, path, reason].filter(Boolean).join(': ');
