/** What differs between two policies, for the log. */
import type { PolicyFile } from './policy-file.ts';
import { selectorText } from './rule.ts';

/** The names of callers and issuers, as the policy names them. */
export type PolicyChanges = {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
  /** True: callers that are in both policies have changed places, and the first rule that applies decides. */
  readonly reordered: boolean;
};

/** Null if both say the same. */
export function policyChanges(before: PolicyFile, after: PolicyFile): PolicyChanges | null {
  const [was, is] = [partsOf(before), partsOf(after)];
  const added = [...is.keys()].filter((name) => !was.has(name));
  const removed = [...was.keys()].filter((name) => !is.has(name));
  const changed = [...is].flatMap(([name, text]) =>
    was.has(name) && was.get(name) !== text ? [name] : [],
  );
  const kept = (names: Iterable<string>) =>
    [...names].filter((name) => was.has(name) && is.has(name)).join('\n');
  const reordered = kept(was.keys()) !== kept(is.keys());
  const isSame = !reordered && [added, removed, changed].every(({ length }) => length === 0);
  return isSame ? null : { added, removed, changed, reordered };
}

/** The parts by their names, each as text that says all of it. A role shows in the callers that have it. */
const partsOf = ({ issuers, rules }: PolicyFile): ReadonlyMap<string, string> =>
  new Map([
    ...rules.map(({ selector, permissions, carriesTokensOf }): [string, string] => [
      selectorText(selector),
      textOf({ permissions, carriesTokensOf }),
    ]),
    ...issuers
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map((issuer): [string, string] => [`issuer ${issuer.name}`, textOf(issuer)]),
  ]);

const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === 'bigint') return `${part}`;
    return part instanceof Set ? [...part].toSorted() : part;
  });
