/** What can name a caller, whoever vouches for it. Entries store it. */
const CALLER_NAME = /^[\x21-\x7e]{1,256}$/;

export const isCallerName = (name: string): boolean => CALLER_NAME.test(name);
