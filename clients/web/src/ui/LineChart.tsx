/** A small line chart: axes with round numbers, a legend, series told apart by colour and dash. */

import styles from "./LineChart.module.css";
import { ticksOf } from "./ticks";

export interface Series {
  name: string;
  points: readonly { x: number; y: number }[];
}

interface Props {
  title: string;
  series: readonly Series[];
  xName: string;
  yName: string;
  /** Fixed ends of the upright axis; else those of the points. */
  yRange?: [number, number];
}

const WIDTH = 480;
const HEIGHT = 220;
const LEFT = 52;
const RIGHT = 24;
const TOP = 12;
const BOTTOM = 40;
const DASHES = ["", "6 3", "2 3", "8 3 2 3", "10 4", "1 3"];

/** At most six series. */
export function LineChart(props: Props) {
  const all = props.series.flatMap((one) => one.points);
  const xTicks = ticksOf(0, Math.max(...all.map(({ x }) => x), 0), 5);
  const [low, high] = props.yRange ?? [
    Math.min(...all.map(({ y }) => y), 0),
    Math.max(...all.map(({ y }) => y), 0),
  ];
  const yTicks = ticksOf(low, high, 4);
  const x = scale(xTicks, LEFT, WIDTH - RIGHT);
  const y = scale(yTicks, HEIGHT - BOTTOM, TOP);
  return (
    <figure className={styles.chart}>
      <figcaption>
        <strong>{props.title}</strong>
        {props.series.length > 1 && (
          <ul className={styles.legend}>
            {props.series.map((one, at) => (
              <li key={one.name}>
                <svg width="24" height="8" aria-hidden="true">
                  <line x1="0" x2="24" y1="4" y2="4" {...strokeOf(at)} />
                </svg>
                {one.name}
              </li>
            ))}
          </ul>
        )}
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={inWords(props)}>
        {yTicks.map((tick) => (
          <g key={tick} className={styles.tick}>
            <line x1={LEFT} x2={WIDTH - RIGHT} y1={y(tick)} y2={y(tick)} />
            <text x={LEFT - 6} y={y(tick) + 4} textAnchor="end">
              {short(tick)}
            </text>
          </g>
        ))}
        {xTicks.map((tick) => (
          <text
            key={tick}
            className={styles.tick}
            x={x(tick)}
            y={HEIGHT - BOTTOM + 16}
            textAnchor="middle"
          >
            {short(tick)}
          </text>
        ))}
        <text
          className={styles.axis}
          x={(LEFT + WIDTH - RIGHT) / 2}
          y={HEIGHT - 6}
          textAnchor="middle"
        >
          {props.xName}
        </text>
        <text
          className={styles.axis}
          transform={`translate(11 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)`}
          textAnchor="middle"
        >
          {props.yName}
        </text>
        {props.series.map((one, at) => (
          <g key={one.name}>
            <polyline
              points={one.points.map((point) => `${x(point.x)},${y(point.y)}`).join(" ")}
              fill="none"
              {...strokeOf(at)}
            />
            {one.points.map((point) => (
              <circle
                key={point.x}
                cx={x(point.x)}
                cy={y(point.y)}
                r="3"
                fill={strokeOf(at).stroke}
              >
                <title>{`${one.name} at ${short(point.x)}: ${point.y.toPrecision(3)}`}</title>
              </circle>
            ))}
          </g>
        ))}
      </svg>
    </figure>
  );
}

const strokeOf = (at: number) => ({
  stroke: `var(--series-${(at % DASHES.length) + 1})`,
  strokeWidth: 2,
  strokeDasharray: DASHES[at % DASHES.length],
});

function scale(ticks: readonly number[], from: number, to: number) {
  const first = ticks[0] ?? 0;
  const span = (ticks.at(-1) ?? 1) - first || 1;
  return (value: number) => from + ((value - first) / span) * (to - from);
}

const short = (value: number) =>
  Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 }).format(value);

function inWords(props: Props): string {
  const ends = props.series.map(({ name, points }) => {
    const last = points.at(-1);
    return last ? `${name} ${last.y.toPrecision(3)} at ${short(last.x)}` : `${name}: no points`;
  });
  return `${props.title}, ${props.yName} against ${props.xName}: ${ends.join("; ")}`;
}
