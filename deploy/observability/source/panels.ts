/** A dashboard in a few words: rows of panels, each with its queries. Grafana's builders make the rest. */
import {
  BigValueColorMode,
  ReduceDataOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardBuilder,
  DashboardCursorSync,
  DatasourceVariableBuilder,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

export type Panel = {
  readonly title: string;
  /** What it says, where the title does not. */
  readonly description?: string;
  /** Of Grafana, such as `s` or `percentunit`. */
  readonly unit: string;
  /** PromQL by its legend, such as `{{rpc_method}}`. */
  readonly queries: Readonly<Record<string, string>>;
  /** One number instead of a curve, red from this value on. */
  readonly redFrom?: number;
};

export type DashboardSource = {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly rows: Readonly<Record<string, readonly Panel[]>>;
};

const DATASOURCE = { type: 'prometheus', uid: '$datasource' } as const;
const COLUMNS = 24;

const queriesOf = ({ queries, redFrom }: Panel) =>
  Object.entries(queries).map(([legend, expr], index) => {
    const query = new DataqueryBuilder()
      .refId(String.fromCharCode('A'.charCodeAt(0) + index))
      .datasource(DATASOURCE)
      .expr(expr)
      .legendFormat(legend);
    return redFrom === undefined ? query.range() : query.instant();
  });

function builderOf({ redFrom }: Panel) {
  if (redFrom === undefined) return new TimeseriesBuilder().fillOpacity(10).min(0);
  const thresholds = new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps([
    { value: null, color: 'green' },
    { value: redFrom, color: 'red' },
  ]);
  return new StatBuilder()
    .thresholds(thresholds)
    .colorMode(BigValueColorMode.Background)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']));
}

const panelOf = (panel: Panel, width: number) =>
  builderOf(panel)
    .title(panel.title)
    .description(panel.description ?? '')
    .unit(panel.unit)
    .datasource(DATASOURCE)
    .targets(queriesOf(panel))
    .height(panel.redFrom === undefined ? 8 : 4)
    .span(width);

/** The JSON that Grafana imports. */
export function dashboardOf({ uid, title, description, rows }: DashboardSource): string {
  const dashboard = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags(['scrip'])
    .time({ from: 'now-6h', to: 'now' })
    .timezone('utc')
    .refresh('30s')
    .tooltip(DashboardCursorSync.Crosshair)
    .withVariable(
      new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'),
    );
  let id = 0;
  for (const [row, panels] of Object.entries(rows)) {
    dashboard.withRow(new RowBuilder(row).id(++id));
    for (const panel of panels)
      dashboard.withPanel(panelOf(panel, COLUMNS / perLine(panels)).id(++id));
  }
  return `${JSON.stringify(dashboard.build(), null, 2)}\n`;
}

/** Full lines: four, three or two panels. */
const perLine = ({ length }: readonly Panel[]): number =>
  [4, 3, 2].find((count) => length % count === 0) ?? 1;
