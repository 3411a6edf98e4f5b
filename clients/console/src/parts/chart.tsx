/** A chart of values over time, by uPlot, in the colours of the page. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { credits, instant, type Zone } from '../format.ts';

export type Line = {
  readonly label: string;
  /** Name of the CSS variable of its colour. */
  readonly color: string;
  /** Drawn as they are near enough, and written to the last digit. */
  readonly values: readonly bigint[];
  /** Filled to the ground. */
  readonly isArea?: boolean;
};

/** Canvas knows no CSS variables: what the browser makes of one. */
function colorOf(element: Element, name: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

const HEIGHT = 220;

/** `times` are epoch seconds, ascending. `onSelect` gets the indexes of a range that was drawn. */
export const Chart = ({
  label,
  times,
  lines,
  zone,
  onSelect,
}: {
  readonly label: string;
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly zone: Zone;
  readonly onSelect?: ((from: number, to: number) => void) | undefined;
}) => {
  const place = useRef<HTMLDivElement>(null);
  const select = useRef(onSelect);
  select.current = onSelect;

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    let chart: uPlot | null = null;
    const draw = () => {
      chart?.destroy();
      chart = new uPlot(
        optionsOf(element, lines, zone, (from, to) => select.current?.(from, to)),
        [[...times], ...lines.map(({ values }) => values.map(Number))],
        element,
      );
    };
    draw();
    // Both the system and the switch change the colours.
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const themes = new MutationObserver(draw);
    themes.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    dark.addEventListener('change', draw);
    const sizes = new ResizeObserver(() =>
      chart?.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    sizes.observe(element);
    return () => {
      sizes.disconnect();
      themes.disconnect();
      dark.removeEventListener('change', draw);
      chart?.destroy();
    };
  }, [times, lines, zone]);

  return <div class="chart" ref={place} role="img" aria-label={label} />;
};

function optionsOf(
  element: HTMLElement,
  lines: readonly Line[],
  zone: Zone,
  onSelect: (from: number, to: number) => void,
): uPlot.Options {
  const text = colorOf(element, '--faint');
  const grid = colorOf(element, '--line');
  const axis = {
    stroke: text,
    grid: { stroke: grid, width: 1 },
    ticks: { stroke: grid, width: 1 },
  };
  const stepped = uPlot.paths.stepped?.({ align: 1 });
  const font = '12px system-ui, sans-serif';
  return {
    width: element.clientWidth,
    height: HEIGHT,
    tzDate: (seconds) =>
      zone === 'utc' ? uPlot.tzDate(new Date(seconds * 1e3), 'Etc/UTC') : new Date(seconds * 1e3),
    cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
    legend: { live: true },
    scales: { y: { range: (_, min, max) => [Math.min(0, min), max <= 0 ? 1 : max * 1.05] } },
    axes: [
      {
        ...axis,
        font,
        space: 80,
        values: (_, ticks, __, ___, step) => timeLabels(ticks, step, zone),
      },
      { ...axis, font, size: axisSize, values: (_, ticks) => ticks.map(shortNumber) },
    ],
    series: [
      {
        label: 'Time',
        value: (_, seconds) => (seconds === null ? '–' : instant(seconds * 1e3, zone)),
      },
      ...lines.map(({ label, color, values, isArea }) => {
        const stroke = colorOf(element, color);
        return {
          label,
          stroke,
          width: 1.5,
          points: { show: false },
          value: (_: uPlot, __: number | null, ___: number, index: number | null) =>
            index === null ? '–' : credits(values[index]),
          ...(isArea && { fill: colorOf(element, `${color}-area`) }),
          ...(stepped && { paths: stepped }),
        };
      }),
    ],
    hooks: {
      setSelect: [
        (chart) => {
          const { left, width } = chart.select;
          if (width < 8) return;
          onSelect(chart.posToIdx(left), chart.posToIdx(left + width));
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

/** In pixels: a label that does not fit would lose its first digits. */
const axisSize = (_: uPlot, labels: readonly string[] | null): number =>
  Math.max(64, ...(labels ?? []).map(({ length }) => 24 + 7.5 * length));

/** Days as "11-29", the first one and that of a new year with the year; times of day where ticks are closer. */
function timeLabels(ticks: readonly number[], step: number, zone: Zone): string[] {
  const texts = ticks.map((seconds) => instant(seconds * 1e3, zone));
  return texts.map((text, index) => {
    const before = texts[index - 1];
    const day = before?.slice(0, 4) === text.slice(0, 4) ? text.slice(5, 10) : text.slice(0, 10);
    if (step >= 86_400) return day;
    const time = step >= 60 ? text.slice(11, 16) : text.slice(11);
    return before?.slice(0, 10) === text.slice(0, 10) ? time : `${day}\n${time}`;
  });
}

const SHORT = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });
const shortNumber = (value: number): string =>
  Math.abs(value) >= 100_000 ? SHORT.format(value) : credits(Math.round(value));
