/** Drawing a region corner by corner, whatever it is drawn on: a still picture, or a canvas. */

import { useCallback, useEffect, useRef, useState } from "react";
import type { Point } from "./saying";

export interface Drawing {
  attribute: string;
  shape: "box" | "polygon";
  /** What was drawn; null until it is finished. */
  region: Point[] | null;
}

/** Called with the region when it is finished, with null when it is given up. */
export type OnDrawing = (drawing: Drawing | null) => void;

/**
 * The unfinished region of a drawing on a frame of (height, width) detector pixels, and what a
 * pointer does to it, told where it is as (row, col). Escape gives up.
 */
export function useSketch(
  drawing: Drawing | null,
  onDrawing: OnDrawing,
  shape: readonly [height: number, width: number],
) {
  // The next event may come before the last one is drawn.
  const corners = useRef<Point[]>([]);
  const [outline, setOutline] = useState<Point[]>([]);
  const isDrawing = drawing !== null && drawing.region === null;
  const isBox = drawing?.shape === "box";

  const begin = useCallback((points: Point[]) => {
    corners.current = points;
    setOutline(points);
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another drawing begins anew
  useEffect(() => begin([]), [drawing, begin]);

  useEffect(() => {
    if (!isDrawing) return;
    const listen = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      begin([]);
      onDrawing(null);
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, [isDrawing, onDrawing, begin]);

  function press(at: Point) {
    if (isBox) begin([heldOn(shape, at)]);
  }

  function move(at: Point) {
    if (corners.current.length > 0) setOutline([...corners.current, heldOn(shape, at)]);
  }

  function release(at: Point) {
    const [start] = corners.current;
    if (!drawing || !isBox || start === undefined) return;
    const end = heldOn(shape, at);
    const isTooSmall = Math.abs(end[0] - start[0]) < 1 || Math.abs(end[1] - start[1]) < 1;
    begin([]);
    if (!isTooSmall) onDrawing({ ...drawing, region: [start, end] });
  }

  /** `count` as the browser tells it: the second click of a double one finishes, and adds nothing. */
  function click(at: Point, count: number) {
    if (!drawing || isBox) return;
    const region = corners.current;
    if (count < 2) begin([...region, heldOn(shape, at)]);
    else onDrawing(region.length < 3 ? null : { ...drawing, region });
  }

  return { isDrawing, outline, isBox, press, move, release, click };
}

export type Sketch = Pick<ReturnType<typeof useSketch>, "outline" | "isBox">;

/** A point to a tenth of a pixel, never outside the frame. */
function heldOn([height, width]: readonly [number, number], [row, col]: Point): Point {
  const held = (value: number, size: number) =>
    Math.round(Math.min(Math.max(value, -0.5), size - 0.5) * 10) / 10;
  return [held(row, height), held(col, width)];
}
