/** Draws a chart as SVG, without a browser. */
import { BarChart, CustomChart, LineChart, ScatterChart } from 'echarts/charts';
import { GridComponent, MarkLineComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { Chart } from './chart.ts';
import { type Layout, plan } from './option.ts';

use([BarChart, CustomChart, LineChart, ScatterChart]);
use([GridComponent, MarkLineComponent, SVGRenderer]);

/** What only scripts of ECharts in a browser would read. */
const FOR_SCRIPTS = /<style\b[\s\S]*?<\/style>| (?:ecmeta_\w+|class|pointer-events)="[^"]*"/g;

/** The `<svg>` element. It grows and shrinks with its container, and is named by `label`. */
export function svg(chart: Chart, layout: Layout, label: string): string {
  const { option, height } = plan(chart, layout);
  const drawn = init(null, null, { renderer: 'svg', ssr: true, width: layout.width, height });
  try {
    drawn.setOption(option);
    const body = drawn.renderToSVGString().replace(/^<svg[^>]*>|<\/svg>\s*$/g, '');
    return `<svg viewBox="0 0 ${layout.width} ${height}" role="img" aria-label="${label}">${body.replace(FOR_SCRIPTS, '')}</svg>`;
  } finally {
    drawn.dispose();
  }
}
