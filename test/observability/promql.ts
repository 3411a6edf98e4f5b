/** What a query of Prometheus names, by Prometheus' own grammar. */
import { parser } from '@prometheus-io/lezer-promql';

export type Matcher = {
  readonly label: string;
  readonly operator: string;
  readonly value: string;
};
export type Selector = { readonly series: string; readonly matchers: readonly Matcher[] };

export type Query = {
  readonly selectors: readonly Selector[];
  /** Labels of `by`, `on`, `ignoring` and `group_left`. */
  readonly groupedBy: readonly string[];
};

export function parseQuery(expr: string): Query {
  const selectors: { series: string; matchers: Matcher[] }[] = [];
  const groupedBy: string[] = [];
  parser.parse(expr).iterate({
    enter({ type, name, from, to, node }) {
      const text = (start = from, end = to) => expr.slice(start, end);
      if (type.isError) throw new Error(`not PromQL at ${from}: ${expr}`);
      if (name === 'Identifier') selectors.push({ series: text(), matchers: [] });
      if (name === 'LabelName' && node.parent?.name === 'GroupingLabels') groupedBy.push(text());
      if (name === 'UnquotedLabelMatcher') {
        const [label, operator, value] = ['LabelName', 'MatchOp', 'StringLiteral'].map((part) => {
          const child = node.getChild(part);
          return child ? text(child.from, child.to) : '';
        }) as [string, string, string];
        selectors.at(-1)?.matchers.push({ label, operator, value: value.slice(1, -1) });
      }
    },
  });
  return { selectors, groupedBy };
}
