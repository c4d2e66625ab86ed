/** Probabilities along a scan: one line for each attribute, a point opens its frame. */

import { useEffect, useRef, useState } from "react";
import { useNavigate } from "react-router";
import { ticksWithin } from "../../ui/ticks";
import { extentOf, nearest, pathOf } from "./points";
import styles from "./Strip.module.css";

export interface StripData {
  /** What `x` is. */
  axis: string;
  /** Sorted. */
  x: readonly number[];
  frameIds: readonly string[];
  lines: readonly { name: string; probabilities: readonly number[] }[];
}

const HEIGHT = 88;
const LEFT = 34;
const BOTTOM = 18;
const TOP = 6;

/** Chart as wide as its parent. Arrow keys go from point to point, Enter opens one. */
export function Strip(props: { data: StripData }) {
  const { axis, x, frameIds, lines } = props.data;
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(800);
  const [chosen, setChosen] = useState(-1);
  const navigate = useNavigate();

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const extent = extentOf(x);
  const inner = Math.max(1, width - LEFT - 8);
  const column = (value: number) => ((value - extent.low) / (extent.high - extent.low)) * inner;
  const at = x[chosen];

  function follow(event: React.PointerEvent<HTMLElement>) {
    const left = event.currentTarget.getBoundingClientRect().left + LEFT;
    const share = (event.clientX - left) / inner;
    setChosen(nearest(x, extent.low + share * (extent.high - extent.low)));
  }

  function step(event: React.KeyboardEvent) {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (by === 0) return;
    event.preventDefault();
    setChosen(Math.min(x.length - 1, Math.max(0, chosen + by)));
  }

  function open() {
    const frame = frameIds[chosen];
    if (frame !== undefined) navigate(`/frames/${frame}`);
  }

  return (
    <div className={styles.strip} ref={box}>
      <button
        type="button"
        className={styles.chart}
        aria-label={`Probabilities against ${axis}: arrow keys choose a frame, Enter opens it`}
        onPointerMove={follow}
        onPointerLeave={() => setChosen(-1)}
        onKeyDown={step}
        onClick={open}
      >
        <svg width={width} height={HEIGHT + BOTTOM + TOP} aria-hidden="true">
          <g transform={`translate(${LEFT} ${TOP})`}>
            {[0, 0.5, 1].map((level) => (
              <g key={level} transform={`translate(0 ${(1 - level) * HEIGHT})`}>
                <line x2={inner} className={styles.grid} />
                <text x={-6} dy="0.32em" textAnchor="end">
                  {level}
                </text>
              </g>
            ))}
            {ticksWithin(extent.low, extent.high, Math.max(2, Math.floor(inner / 110))).map(
              (tick) => (
                <text key={tick} x={column(tick)} y={HEIGHT + 14} textAnchor="middle">
                  {tick}
                </text>
              ),
            )}
            {lines.map((line, place) => (
              <path
                key={line.name}
                d={pathOf(x, line.probabilities, inner, HEIGHT)}
                stroke={colour(place)}
                className={styles.line}
              />
            ))}
            {at !== undefined && (
              <line x1={column(at)} x2={column(at)} y2={HEIGHT} className={styles.cursor} />
            )}
          </g>
        </svg>
      </button>
      <ul className={styles.legend}>
        {lines.map((line, place) => (
          <li key={line.name}>
            <svg width="18" height="4" aria-hidden="true">
              <path d="M0 2H18" stroke={colour(place)} strokeWidth="3" />
            </svg>
            {line.name}
            <span className="mono">{line.probabilities[chosen]?.toFixed(2)}</span>
          </li>
        ))}
        <li className="muted">{at === undefined ? `against ${axis}` : `${axis} ${at}`}</li>
      </ul>
    </div>
  );
}

const colour = (place: number) => `var(--series-${(place % 6) + 1})`;
