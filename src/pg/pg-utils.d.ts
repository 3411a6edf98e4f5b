/** A part of pg that its types leave out. */
declare module 'pg/lib/utils.js' {
  /** Converts a parameter to text, bytes or null, as pg does for its own queries. */
  export function prepareValue(value: unknown): string | Buffer | null;
}
