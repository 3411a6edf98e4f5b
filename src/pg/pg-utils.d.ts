/** What pg makes of a parameter, as its own queries have it: a text, bytes or null. */
declare module 'pg/lib/utils.js' {
  export function prepareValue(value: unknown): string | Buffer | null;
}
