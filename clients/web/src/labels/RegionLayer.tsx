/** Regions of labels on a frame, and drawing a new one: an SVG in detector pixels over a picture. */

import { type PointerEvent, useEffect, useState } from "react";
import styles from "./RegionLayer.module.css";
import type { Point } from "./saying";

export interface Drawing {
  attribute: string;
  shape: "box" | "polygon";
  /** What was drawn; null until it is finished. */
  region: Point[] | null;
}

interface Region {
  author: string;
  points: Point[];
}

interface Props {
  /** Of the frame: (height, width) in detector pixels. */
  shape: [number, number];
  regions: readonly Region[];
  drawing: Drawing | null;
  /** Called with the region when it is finished, with null when it is given up (Escape). */
  onDrawing: (drawing: Drawing | null) => void;
}

/** Lies over a picture of the whole frame that keeps its aspect and fills its parent. */
export function RegionLayer(props: Props) {
  const { drawing, onDrawing } = props;
  const [height, width] = props.shape;
  const [points, setPoints] = useState<Point[]>([]);
  const [hover, setHover] = useState<Point | null>(null);
  const isDrawing = drawing !== null && drawing.region === null;

  // biome-ignore lint/correctness/useExhaustiveDependencies: another drawing begins anew
  useEffect(() => {
    setPoints([]);
    setHover(null);
  }, [drawing]);

  useEffect(() => {
    if (!isDrawing) return;
    const listen = (event: KeyboardEvent) => {
      if (event.key === "Escape") onDrawing(null);
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, [isDrawing, onDrawing]);

  function finish(region: Point[]) {
    const least = drawing?.shape === "box" ? 2 : 3;
    onDrawing(drawing && region.length >= least ? { ...drawing, region } : null);
  }

  function press(event: PointerEvent<SVGSVGElement>) {
    if (drawing === null || event.button !== 0) return;
    event.preventDefault();
    const point = pointAt(event, props.shape);
    if (drawing.shape === "polygon") {
      // A double click finishes: its second press adds nothing.
      if (event.detail < 2) setPoints([...points, point]);
      return;
    }
    event.currentTarget.setPointerCapture(event.pointerId);
    setPoints([point]);
  }

  function release(event: PointerEvent<SVGSVGElement>) {
    const [start] = points;
    if (drawing?.shape !== "box" || start === undefined) return;
    const end = pointAt(event, props.shape);
    if (Math.abs(end[0] - start[0]) < 1 || Math.abs(end[1] - start[1]) < 1) setPoints([]);
    else finish([start, end]);
  }

  const sketch = hover && points.length > 0 ? [...points, hover] : points;
  return (
    <svg
      className={styles.layer}
      data-drawing={isDrawing}
      viewBox={`-0.5 -0.5 ${width} ${height}`}
      role="img"
      aria-label={isDrawing ? "Draw on the frame" : "Regions drawn on the frame"}
      onPointerDown={isDrawing ? press : undefined}
      onPointerMove={isDrawing ? (event) => setHover(pointAt(event, props.shape)) : undefined}
      onPointerUp={isDrawing ? release : undefined}
      onDoubleClick={isDrawing && drawing.shape === "polygon" ? () => finish(points) : undefined}
    >
      {props.regions.map((region) => (
        <g key={`${region.author} ${region.points.join()}`} className={styles.region}>
          <title>{region.author}</title>
          <Outline points={region.points} closed />
        </g>
      ))}
      {sketch.length > 1 && (
        <g className={styles.sketch}>
          <Outline points={sketch} closed={drawing?.shape === "box"} />
        </g>
      )}
    </svg>
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

/** (row, col) on detector pixels under the pointer, never outside the frame. */
function pointAt(event: PointerEvent<SVGSVGElement>, [height, width]: [number, number]): Point {
  const toScreen = event.currentTarget.getScreenCTM();
  if (toScreen === null) return [0, 0];
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(toScreen.inverse());
  const within = (value: number, size: number) =>
    Math.round(Math.min(Math.max(value, -0.5), size - 0.5) * 10) / 10;
  return [within(y, height), within(x, width)];
}
