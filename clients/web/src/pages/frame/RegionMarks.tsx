/** Regions of labels on the frame at any zoom, and drawing a new one there. */

import {
  type CanvasEvent,
  DataToHtml,
  SvgElement,
  useCanvasEvent,
  useInteraction,
} from "@h5web/lib";
import { Vector3 } from "three";
import { Outlines, type Region } from "../../labels/Outlines";
import type { Point } from "../../labels/saying";
import { type Drawing, type OnDrawing, useSketch } from "../../labels/useSketch";
import styles from "./Picture.module.css";

/** What is known and said of places on the frame while one corrects it. */
export interface Places {
  regions: readonly Region[];
  drawing: Drawing | null;
  onDrawing: OnDrawing;
}

const ORIGIN = new Vector3(0, 0, 0);
const ONE = new Vector3(1, 1, 0);

/** Inside a canvas. While one draws, a drag draws unless a key means another thing by it. */
export function RegionMarks(props: { places: Places; height: number; width: number }) {
  const { regions, drawing, onDrawing } = props.places;
  const sketch = useSketch(drawing, onDrawing, [props.height, props.width]);
  const means = useInteraction("Draw", { disabled: !sketch.isDrawing });

  useCanvasEvent("pointerdown", (event: CanvasEvent<PointerEvent>) => {
    const { target, pointerId } = event.sourceEvent;
    if (!means(event.sourceEvent)) return;
    if (target instanceof Element) target.setPointerCapture(pointerId);
    sketch.press(pointOf(event));
  });
  useCanvasEvent("pointermove", (event) => sketch.move(pointOf(event)));
  useCanvasEvent("pointerup", (event) => sketch.release(pointOf(event)));
  useCanvasEvent("click", (event) => {
    if (means(event.sourceEvent)) sketch.click(pointOf(event), event.sourceEvent.detail);
  });

  return (
    <>
      <DataToHtml points={[ORIGIN, ONE]}>
        {(origin, one) => (
          <SvgElement>
            <g className={styles.places}>
              <g
                transform={`matrix(${one.x - origin.x} 0 0 ${one.y - origin.y} ${origin.x} ${origin.y})`}
              >
                <Outlines regions={regions} sketch={sketch} />
              </g>
            </g>
          </SvgElement>
        )}
      </DataToHtml>
      {regions.map((region) => (
        <Title key={`${region.title} ${region.points.join()}`} region={region} />
      ))}
    </>
  );
}

/** Above the region, as it is seen. */
function Title(props: { region: Region }) {
  const { title, points } = props.region;
  return (
    <DataToHtml points={points.map(([row, col]) => new Vector3(col, row, 0))}>
      {(...corners) => (
        <SvgElement>
          <text
            className={styles.label}
            x={Math.min(...corners.map(({ x }) => x))}
            y={Math.min(...corners.map(({ y }) => y)) - 5}
          >
            {title}
          </text>
        </SvgElement>
      )}
    </DataToHtml>
  );
}

const pointOf = ({ dataPt }: CanvasEvent<MouseEvent>): Point => [dataPt.y, dataPt.x];
