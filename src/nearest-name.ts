/** Finds the name that a caller may have meant. */
import { distance } from 'fastest-levenshtein';

/** Edits that a wrong name may have, per character: more is another name, not a typing error. */
const EDITS_MAX = 1 / 3;

/** The most similar of the names, whatever their case; null if none is similar. */
export function nearestName(sent: string, names: Iterable<string>): string | null {
  const wanted = sent.toLowerCase();
  let nearest: string | null = null;
  let fewest = Math.floor(sent.length * EDITS_MAX) + 1;
  for (const name of names) {
    const edits = distance(wanted, name.toLowerCase());
    if (edits >= fewest) continue;
    nearest = name;
    fewest = edits;
  }
  return nearest;
}

/** What a failure says of it, as the end of its message and as metadata. */
export function suggestion(sent: string, names: Iterable<string>) {
  const nearest = nearestName(sent, names);
  return nearest === null
    ? { text: '', metadata: {} }
    : { text: `; did you mean ${nearest}?`, metadata: { nearest } };
}
