/** Regions of labels on a still picture, and drawing a new one: an SVG in detector pixels over it. */

import type { MouseEvent, PointerEvent } from "react";
import { Outlines, type Region } from "./Outlines";
import styles from "./RegionLayer.module.css";
import type { Point } from "./saying";
import { type Drawing, type OnDrawing, useSketch } from "./useSketch";

interface Props {
  /** Of the frame: (height, width) in detector pixels. */
  shape: [number, number];
  regions: readonly Region[];
  drawing: Drawing | null;
  onDrawing: OnDrawing;
}

/** Lies over a picture of the whole frame that keeps its aspect and fills its parent. */
export function RegionLayer(props: Props) {
  const [height, width] = props.shape;
  const { isDrawing, outline, isBox, ...sketch } = useSketch(
    props.drawing,
    props.onDrawing,
    props.shape,
  );

  function press(event: PointerEvent<SVGSVGElement>) {
    if (event.button !== 0) return;
    event.preventDefault();
    event.currentTarget.setPointerCapture(event.pointerId);
    sketch.press(pointAt(event));
  }

  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a place is shown by pointing at it
    <svg
      className={styles.layer}
      data-drawing={isDrawing}
      viewBox={`-0.5 -0.5 ${width} ${height}`}
      role="img"
      aria-label={isDrawing ? "Draw on the frame" : "Regions drawn on the frame"}
      onPointerDown={press}
      onPointerMove={(event) => sketch.move(pointAt(event))}
      onPointerUp={(event) => sketch.release(pointAt(event))}
      onClick={(event) => sketch.click(pointAt(event), event.detail)}
    >
      <Outlines regions={props.regions} sketch={{ outline, isBox }} />
    </svg>
  );
}

/** (row, col) on detector pixels under the pointer. */
function pointAt(event: MouseEvent<SVGSVGElement>): Point {
  const toScreen = event.currentTarget.getScreenCTM();
  if (toScreen === null) return [0, 0];
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(toScreen.inverse());
  return [y, x];
}
