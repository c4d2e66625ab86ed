/** A small line plot that tells what the hand points at. */

import { useMemo, useState } from "react";
import styles from "./Plot.module.css";
import { linePath, scaleOf, ticksOf } from "./plotting";

const WIDTH = 340;
const HEIGHT = 170;
const LEFT = 46;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 32;

/** Values over x, which must rise; `null` is a gap. */
export function Plot(props: {
  label: string;
  xLabel: string;
  x: readonly number[];
  y: readonly (number | null)[];
  logarithmic: boolean;
  /** The place in `x` that is pointed at, or null. */
  onPoint?: (place: number | null) => void;
  testId: string;
}) {
  const { x, y, logarithmic } = props;
  const [pointed, setPointed] = useState<number | null>(null);
  const drawn = useMemo(() => {
    const across = scaleOf([x[0] ?? 0, x.at(-1) ?? 1], [LEFT, WIDTH - RIGHT], false);
    const seen = y.filter((one): one is number => one !== null && (!logarithmic || one > 0));
    const low = seen.reduce((least, one) => Math.min(least, one), Infinity);
    const high = seen.reduce((most, one) => Math.max(most, one), -Infinity);
    const range: [number, number] = low < high ? [low, high] : [low - 1, low + 1];
    const up = scaleOf(seen.length > 0 ? range : [0, 1], [HEIGHT - BOTTOM, TOP], logarithmic);
    return { across, up, path: linePath(x, y, across, up, logarithmic) };
  }, [x, y, logarithmic]);

  function point(event: React.PointerEvent<SVGSVGElement>) {
    const box = event.currentTarget.getBoundingClientRect();
    const wanted = drawn.across.invert(((event.clientX - box.left) / box.width) * WIDTH);
    let place = x.findIndex((one) => one >= wanted);
    if (place < 0) place = x.length - 1;
    const before = x[place - 1];
    if (before !== undefined && wanted - before < (x[place] ?? 0) - wanted) place -= 1;
    setPointed(place);
    props.onPoint?.(place);
  }
  function leave() {
    setPointed(null);
    props.onPoint?.(null);
  }

  const pointedX = pointed === null ? undefined : x[pointed];
  const pointedY = pointed === null ? undefined : y[pointed];
  return (
    <svg
      className={styles.plot}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={props.label}
      onPointerMove={point}
      onPointerLeave={leave}
      data-testid={props.testId}
    >
      {ticksOf(drawn.across.domain, false, 5).map((tick) => (
        <g key={tick} transform={`translate(${drawn.across(tick)} 0)`}>
          <path className={styles.grid} d={`M0 ${TOP}V${HEIGHT - BOTTOM}`} />
          <text className={styles.tick} y={HEIGHT - BOTTOM + 13} textAnchor="middle">
            {Number(tick.toPrecision(4))}
          </text>
        </g>
      ))}
      {ticksOf(drawn.up.domain, logarithmic, 4).map((tick) => (
        <g key={tick} transform={`translate(0 ${drawn.up(tick)})`}>
          <path className={styles.grid} d={`M${LEFT} 0H${WIDTH - RIGHT}`} />
          <text className={styles.tick} x={LEFT - 5} dy="0.32em" textAnchor="end">
            {tickText(tick)}
          </text>
        </g>
      ))}
      <path className={styles.line} d={drawn.path} />
      <text className={styles.tick} x={(LEFT + WIDTH) / 2} y={HEIGHT - 4} textAnchor="middle">
        {props.xLabel}
      </text>
      {pointedX !== undefined && (
        <>
          <path
            className={styles.pointed}
            d={`M${drawn.across(pointedX)} ${TOP}V${HEIGHT - BOTTOM}`}
          />
          <text className={styles.value} x={WIDTH - RIGHT - 4} y={TOP + 12} textAnchor="end">
            {Number(pointedX.toPrecision(4))}:{" "}
            {pointedY === null || pointedY === undefined ? "masked" : pointedY.toPrecision(4)}
          </text>
        </>
      )}
    </svg>
  );
}

function tickText(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-2)) return value.toExponential(0);
  return String(Number(value.toPrecision(3)));
}
