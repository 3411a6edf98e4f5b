/** Text that a caller chose, short enough for trailers and logs. */
export const shorten = (text: string): string =>
  text.length <= 128 ? text : `${text.slice(0, 128)}…`;
