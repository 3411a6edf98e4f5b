/** The last values of a figure as a small line. */

const WIDTH = 120;
const HEIGHT = 28;

/** The line ends at the right: it grows from there until `length` values are known. */
export const Sparkline = ({
  values,
  length,
  label,
}: {
  readonly values: readonly number[];
  readonly length: number;
  readonly label: string;
}) => {
  const top = Math.max(1e-9, ...values);
  const x = (index: number) => WIDTH - ((values.length - 1 - index) * WIDTH) / (length - 1);
  const y = (value: number) => HEIGHT - 2 - (Math.max(0, value) / top) * (HEIGHT - 4);
  const points = values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`);
  const first = x(0).toFixed(1);
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      <line class="sparkline-ground" x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
      {points.length > 1 && (
        <>
          <polygon points={`${first},${HEIGHT} ${points.join(' ')} ${WIDTH},${HEIGHT}`} />
          <polyline points={points.join(' ')} />
        </>
      )}
    </svg>
  );
};
