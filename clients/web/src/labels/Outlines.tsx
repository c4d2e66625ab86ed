/** Regions and the one that is being drawn, as SVG in detector pixels: x = column, y = row. */

import styles from "./Outlines.module.css";
import type { Point } from "./saying";
import type { Sketch } from "./useSketch";

export interface Region {
  /** What it is of, and who says so. */
  title: string;
  points: Point[];
}

export function Outlines(props: { regions: readonly Region[]; sketch: Sketch }) {
  const { outline, isBox } = props.sketch;
  return (
    <>
      {props.regions.map(({ title, points }) => (
        <g key={`${title} ${points.join()}`} className={styles.region} data-region={title}>
          <title>{title}</title>
          <Outline points={points} closed />
        </g>
      ))}
      {outline.length > 1 && (
        <g className={styles.sketch}>
          <Outline points={outline} closed={isBox} />
        </g>
      )}
    </>
  );
}

function Outline(props: { points: Point[]; closed: boolean }) {
  const [first, second] = props.points;
  if (first && second && props.points.length === 2 && props.closed) {
    const [top, left] = [Math.min(first[0], second[0]), Math.min(first[1], second[1])];
    return (
      <rect
        x={left}
        y={top}
        width={Math.abs(second[1] - first[1])}
        height={Math.abs(second[0] - first[0])}
      />
    );
  }
  const points = props.points.map(([row, col]) => `${col},${row}`).join(" ");
  return props.closed ? <polygon points={points} /> : <polyline points={points} />;
}
