/** What SQL statements do, without values: their verbs and tables, as OpenTelemetry's `db.query.summary`. */
import type { SqlStatement } from './pipelined-batch.ts';

const LENGTH_MAX = 255;
const TARGET = /\b(?:from|into|update|delete from)\s+([a-z_]+)/i;

/** By text: statements are prepared, so that there is a fixed number of texts. */
const summaries = new Map<string, string>();

export function summaryOf(statements: readonly SqlStatement[]): string {
  const parts = statements.map(({ text }) => summaryOfOne(text));
  return parts
    .filter((part, index) => part !== parts[index - 1])
    .join('; ')
    .slice(0, LENGTH_MAX);
}

function summaryOfOne(text: string): string {
  let summary = summaries.get(text);
  if (summary === undefined) {
    const [verb = ''] = /[a-z]+/i.exec(text) ?? [];
    const [, table] = /^(set|begin|commit)$/i.test(verb) ? [] : (TARGET.exec(text) ?? []);
    summary = table ? `${verb} ${table}` : verb;
    summaries.set(text, summary);
  }
  return summary;
}
