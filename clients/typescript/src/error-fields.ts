/** Reads the values of an error's metadata. An error must not be lost to a value that this version cannot read. */

export const textOf = (text: string | undefined): string => text ?? '';

export const numberOf = (text: string | undefined): number => Number(text ?? Number.NaN);

/** 0 if the text is not an integer. */
export function bigintOf(text: string | undefined): bigint {
  return text !== undefined && /^-?\d+$/.test(text) ? BigInt(text) : 0n;
}

export const dateOf = (text: string | undefined): Date => new Date(text ?? Number.NaN);
