/** Counts as a mesh in the canvas: every pixel keeps its value until the GPU gives it a colour. */

import { type Domain, HeatmapMesh, type HeatmapMeshProps, useVisCanvasContext } from "@h5web/lib";
import { useMemo } from "react";
import { Vector3 } from "three";
import { SCALES, showable } from "./contrast";
import type { Grid } from "./npy";
import type { Display } from "./settings";

/** Values over the frame; a preview's pixels cover blocks of detector pixels. */
export interface Layer extends Grid {
  /** Detector pixels that it covers, from the first row and column. */
  across: number;
  down: number;
  isFull: boolean;
}

/** Middle and size, in world units, of detector pixels [0, across) x [0, down). */
export function usePlace(across: number, down: number) {
  const { dataToWorld, abscissaConfig, ordinateConfig } = useVisCanvasContext();
  const first = dataToWorld(new Vector3(-0.5, -0.5, 0));
  const last = dataToWorld(new Vector3(across - 0.5, down - 0.5, 0));
  return {
    position: [(first.x + last.x) / 2, (first.y + last.y) / 2, 0] as [number, number, number],
    size: { width: Math.abs(last.x - first.x), height: Math.abs(last.y - first.y) },
    turn: [abscissaConfig.flip ? -1 : 1, ordinateConfig.flip ? -1 : 1, 1] as [
      number,
      number,
      number,
    ],
  };
}

/** The part of an `ndarray` that the mesh reads: its constructor compiles code, which is forbidden. */
function asArray(data: Float32Array, { height, width }: Layer): HeatmapMeshProps["values"] {
  const array = { data, shape: [height, width], dtype: "float32" as const };
  return array as unknown as HeatmapMeshProps["values"];
}

/** The frame itself. */
export function FrameMesh(props: {
  layer: Layer;
  domain: Domain;
  display: Display;
  maskedColor: string;
}) {
  const { layer, domain, display } = props;
  const { position, size, turn } = usePlace(layer.across, layer.down);
  const lowest = domain[0];
  const values = useMemo(
    () => asArray(showable(layer.values, display.scale, lowest), layer),
    [layer, display.scale, lowest],
  );
  return (
    <HeatmapMesh
      values={values}
      domain={domain}
      scaleType={SCALES[display.scale]}
      colorMap={display.colorMap}
      invertColorMap={display.invert}
      badColor={props.maskedColor}
      position={position}
      size={size}
      scale={turn}
    />
  );
}
