/**
 * Payment references: numbers of orders and invoices that people type and copy. They are stored exactly as
 * they were given, and are the same payment where only their form differs.
 */

/** Characters that are not seen: spaces, format characters, variation selectors, fillers. */
const INVISIBLE = /[\p{White_Space}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu;

/**
 * What two references of one payment have in common: without spaces and invisible characters, in one
 * Unicode form, in one case. Empty if nothing of the reference is visible.
 */
export const paymentReferenceKey = (reference: string): string =>
  foldCase(reference.normalize('NFKC').replace(INVISIBLE, '')).normalize('NFKC');

/** Capital letters first: "ß" and "SS" are the same, and so are the two small sigmas. */
const foldCase = (text: string): string => text.toUpperCase().toLowerCase();
