/** What part of the frame is in sight: shared by panes side by side, moved by keys too. */

import { useVisCanvasContext } from "@h5web/lib";
import { useFrame, useThree } from "@react-three/fiber";
import { useEffect, useRef } from "react";
import { Vector3 } from "three";
import type { Observable } from "./observable";

/** Middle in detector pixels, and the part of the whole that is in sight (1 = all of it). */
export interface View {
  col: number;
  row: number;
  part: number;
}

const SMALLEST_PART = 0.0005;

/** The view after a key, or null where the key means nothing here. */
export function viewAfter(key: string, view: View, height: number, width: number): View | null {
  const step = (Math.max(height, width) * view.part) / 8;
  const held = (value: number, most: number) => Math.min(Math.max(value, 0), most - 1);
  const moved = (rows: number, cols: number): View => ({
    ...view,
    row: held(view.row + rows, height),
    col: held(view.col + cols, width),
  });
  const zoomed = (factor: number): View => {
    const part = Math.min(Math.max(view.part * factor, SMALLEST_PART), 1);
    return part === 1 ? wholeOf(height, width) : { ...view, part };
  };
  switch (key) {
    case "ArrowUp":
      return moved(-step, 0);
    case "ArrowDown":
      return moved(step, 0);
    case "ArrowLeft":
      return moved(0, -step);
    case "ArrowRight":
      return moved(0, step);
    case "+":
    case "=":
      return zoomed(1 / 1.5);
    case "-":
      return zoomed(1.5);
    case "0":
      return wholeOf(height, width);
    default:
      return null;
  }
}

/** The view of a whole frame. */
export function wholeOf(height: number, width: number): View {
  return { row: (height - 1) / 2, col: (width - 1) / 2, part: 1 };
}

/** Inside a canvas: follows the shared view, and tells it of what the mouse did here. */
export function FollowView(props: { view: Observable<View> }) {
  const { view } = props;
  const camera = useThree((state) => state.camera);
  const invalidate = useThree((state) => state.invalidate);
  const { dataToWorld, worldToData } = useVisCanvasContext();
  const told = useRef<View | null>(null);

  useEffect(() => {
    function follow() {
      const wanted = view.get();
      if (told.current === wanted) return;
      told.current = wanted;
      const { x, y } = dataToWorld(new Vector3(wanted.col, wanted.row, 0));
      camera.position.set(x, y, camera.position.z);
      camera.scale.set(wanted.part, wanted.part, 1);
      camera.updateMatrixWorld();
      invalidate();
    }
    told.current = null; // the canvas has another size
    follow();
    return view.subscribe(follow);
  }, [view, camera, invalidate, dataToWorld]);

  useFrame(() => {
    const known = told.current;
    if (known === null) return;
    const { x: col, y: row } = worldToData(camera.position);
    const part = camera.scale.x;
    const moved = Math.hypot(col - known.col, row - known.row) > 1e-3 * part;
    if (moved || Math.abs(part - known.part) > 1e-6) {
      told.current = { row, col, part };
      view.set(told.current);
    }
  });
  return null;
}
