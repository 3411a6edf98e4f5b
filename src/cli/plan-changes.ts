/** What publishing plan files changes, as text for people. */
import { type PlanFile, type PlanTerms, type RateCard, rateCardAt } from '../pricing/plan.ts';
import { isUnchanged, type NewVersion, type PlanChange } from '../pricing/plan-change.ts';
import { type Json, planTermsToJson, rateCardToJson } from '../pricing/plan-file/plan-json.ts';
import { formatPath, type Path } from '../pricing/plan-file/validation-error.ts';

/** One line if the plan is new or unchanged, else a line for each version, and for each change in it. */
export function planChangeLines(change: PlanChange): readonly string[] {
  const { file, published, added, withdrawn, changesTerms } = change;
  if (isUnchanged(change)) return [`${file.planId}: no change`];
  if (!published) {
    const counts = `operations ${file.rateCard.operations.size}, packs ${file.packs.length}`;
    const dates = added
      .slice(1)
      .map(({ effectiveAt }) => `, prices change ${instant(effectiveAt)}`);
    return [`${file.planId}: new plan (${counts}${dates.join('')})`];
  }
  return [
    `${file.planId}:`,
    ...added.flatMap((version) => versionLines(change, version)),
    ...withdrawn.map(
      ({ version, effectiveAt }) =>
        `  rate card ${version}, which would come into force ${instant(effectiveAt)}, is withdrawn`,
    ),
    ...(changesTerms ? ['  terms and packs, at once', ...termsLines(published.terms, file)] : []),
  ];
}

/** How one plan file differs from another: none, or a line for each place. Dated prices are compared by their dates. */
export function fileChangeLines(before: PlanFile, after: PlanFile): readonly string[] {
  return differences(fileToJson(before), fileToJson(after)).map((line) =>
    line.replace(/^ {4}/, ''),
  );
}

const fileToJson = (file: PlanFile): Json => ({
  plan_id: file.planId,
  ...(termsOf(file) as Readonly<Record<string, Json>>),
  prices: rateCardToJson(file.rateCard),
  changes: Object.fromEntries(
    file.changes.map(({ from, rateCard }) => [instant(from), rateCardToJson(rateCard)]),
  ),
});

function termsLines(before: PlanTerms, after: PlanTerms): readonly string[] {
  const lines = differences(termsOf(before), termsOf(after));
  return lines.length > 0 ? lines : ['    ~ packs: in another order'];
}

/** The differences of a new version from the prices that are in force before it. */
function versionLines(change: PlanChange, { version, effectiveAt, rateCard }: NewVersion) {
  const { file, published, at } = change;
  const isAtOnce = effectiveAt <= at;
  const before: RateCard | undefined = isAtOnce
    ? published?.planAt(at).rateCard
    : rateCardAt(file, effectiveAt - 1);
  return [
    `  rate card ${version}, ${isAtOnce ? 'at once' : `from ${instant(effectiveAt)}`}`,
    ...differences(before ? rateCardToJson(before) : {}, rateCardToJson(rateCard)),
  ];
}

/** Packs by their ids, so that an inserted one does not shift the others. */
function termsOf(terms: PlanTerms): Json {
  const json = planTermsToJson(terms) as Readonly<Record<string, Json>>;
  const packs = json['packs'] as readonly Readonly<Record<string, Json>>[];
  return {
    ...json,
    packs: Object.fromEntries(packs.map(({ pack_id, ...pack }) => [String(pack_id), pack])),
  };
}

function differences(before: Json, after: Json, path: Path = []): readonly string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (!isObject(before) || !isObject(after))
    return [`    ~ ${formatPath(path)}: ${show(before)} -> ${show(after)}`];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
  return keys.flatMap((key) => {
    const was = Object.hasOwn(before, key) ? before[key] : undefined;
    const is = Object.hasOwn(after, key) ? after[key] : undefined;
    const at = [...path, Array.isArray(after) ? Number(key) : key];
    if (was === undefined) return [`    + ${formatPath(at)}: ${show(is ?? null)}`];
    if (is === undefined) return [`    - ${formatPath(at)}: ${show(was)}`];
    return differences(was, is, at);
  });
}

/** Lists are compared by index. */
const isObject = (value: Json): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null;

const show = (value: Json): string => (typeof value === 'string' ? value : JSON.stringify(value));

const instant = (at: number): string => new Date(at).toISOString();
