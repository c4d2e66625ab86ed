/** Probabilities along a scan: one line for each attribute, a point opens its frame. */

import { useEffect, useRef, useState } from "react";
import { useNavigate } from "react-router";
import styles from "./Strip.module.css";
import { extentOf, nearest, type Point, pathOf, ticksOf } from "./points";

export interface Line {
  /** Display name of the attribute. */
  name: string;
  /** Sorted by x. */
  points: readonly Point[];
}

const HEIGHT = 88;
const LEFT = 34;
const BOTTOM = 18;
const TOP = 6;

/** Chart as wide as its parent. Arrow keys go from point to point, Enter opens one. */
export function Strip(props: { lines: readonly Line[]; axis: string }) {
  const { lines, axis } = props;
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(800);
  const [chosen, setChosen] = useState<Point | null>(null);
  const navigate = useNavigate();

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const first = lines[0]?.points ?? [];
  const extent = extentOf(lines.map((line) => line.points));
  const inner = Math.max(1, width - LEFT - 8);
  const column = (x: number) => ((x - extent.low) / (extent.high - extent.low)) * inner;
  const open = () => chosen && navigate(`/frames/${chosen.frame_id}`);

  function follow(event: React.PointerEvent<HTMLElement>) {
    const left = event.currentTarget.getBoundingClientRect().left + LEFT;
    const x = extent.low + ((event.clientX - left) / inner) * (extent.high - extent.low);
    setChosen(nearest(first, x) ?? null);
  }

  function step(event: React.KeyboardEvent) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const at = chosen === null ? -1 : first.findIndex((one) => one.frame_id === chosen.frame_id);
    setChosen(first[Math.min(first.length - 1, Math.max(0, at + by))] ?? null);
  }

  const at = (line: Line) =>
    chosen && line.points.find((one) => one.frame_id === chosen.frame_id)?.probability;
  return (
    <div className={styles.strip} ref={box}>
      <button
        type="button"
        className={styles.chart}
        aria-label={`Probabilities against ${axis}: arrow keys choose a frame, Enter opens it`}
        onPointerMove={follow}
        onPointerLeave={() => setChosen(null)}
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
            {ticksOf(extent, Math.max(2, Math.floor(inner / 110))).map((tick) => (
              <text key={tick} x={column(tick)} y={HEIGHT + 14} textAnchor="middle">
                {tick}
              </text>
            ))}
            {lines.map((line, place) => (
              <path
                key={line.name}
                d={pathOf(line.points, extent, inner, HEIGHT)}
                stroke={colour(place)}
                className={styles.line}
              />
            ))}
            {chosen && (
              <line
                x1={column(chosen.x)}
                x2={column(chosen.x)}
                y2={HEIGHT}
                className={styles.cursor}
              />
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
            {chosen && <span className="mono">{at(line)?.toFixed(2)}</span>}
          </li>
        ))}
        {chosen && (
          <li className="muted">
            {axis} {chosen.x}
          </li>
        )}
      </ul>
    </div>
  );
}

const colour = (place: number) => `var(--series-${(place % 6) + 1})`;
