/**
 * Text that others chose, for a terminal. What would move its cursor, begin another line, or hide or turn around what
 * follows is shown as its code.
 */

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

export const visible = (text: string): string =>
  text.replace(INVISIBLE, (one) => `\\u{${one.codePointAt(0)?.toString(16)}}`);

/** The same JSON, with the escapes of JSON. Its own line breaks stay. */
export const visibleJson = (json: string): string =>
  json.replace(INVISIBLE, (one) => (one === '\n' ? one : one.split('').map(toEscape).join('')));

const toEscape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
