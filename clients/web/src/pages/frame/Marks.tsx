/** Beam centre and rings, drawn on the frame at any zoom. */

import { DataToHtml, SvgElement } from "@h5web/lib";
import { Vector3 } from "three";
import { type Observable, useObservable } from "./observable";
import styles from "./Picture.module.css";
import { type Geometry, qText, radiusOfQ, type Unit } from "./scattering";

interface Center {
  row: number;
  col: number;
  /** Pixel height by pixel width: what rings are squeezed by. */
  aspect: number;
}

/** The direct beam of a geometry. */
export function centerOf(geometry: Geometry): Center {
  const [row, col] = geometry.beam_center_yx;
  return { row, col, aspect: geometry.pixel_size_m[0] / geometry.pixel_size_m[1] };
}

/** A cross at the direct beam. */
export function BeamCross(props: { center: Center }) {
  const { row, col } = props.center;
  return (
    <DataToHtml points={[new Vector3(col, row, 0)]}>
      {({ x, y }) => (
        <SvgElement>
          <path className={styles.mark} d={`M${x - 9} ${y}h18M${x} ${y - 9}v18`} />
        </SvgElement>
      )}
    </DataToHtml>
  );
}

function Ring(props: { center: Center; radius: number; label?: string; className?: string }) {
  const { center, radius } = props;
  const points: [Vector3, Vector3, Vector3] = [
    new Vector3(center.col, center.row, 0),
    new Vector3(center.col + radius, center.row, 0),
    new Vector3(center.col, center.row - radius / center.aspect, 0),
  ];
  return (
    <DataToHtml points={points}>
      {(middle, side, top) => (
        <SvgElement>
          <ellipse
            className={props.className ?? styles.ring}
            cx={middle.x}
            cy={middle.y}
            rx={Math.abs(side.x - middle.x)}
            ry={Math.abs(top.y - middle.y)}
          />
          {props.label && (
            <text className={styles.label} x={top.x + 4} y={top.y + (top.y < middle.y ? -4 : 14)}>
              {props.label}
            </text>
          )}
        </SvgElement>
      )}
    </DataToHtml>
  );
}

/** Rings at scattering vectors, with their values. */
export function Rings(props: { geometry: Geometry; rings: readonly number[]; unit: Unit }) {
  const center = centerOf(props.geometry);
  return (
    <>
      {props.rings.map((q) => (
        <Ring
          key={q}
          center={center}
          radius={radiusOfQ(props.geometry, q)}
          label={qText(q, props.unit)}
        />
      ))}
    </>
  );
}

/** The ring that the hand points at in a profile. */
export function MarkedRing(props: { center: Center; radius: Observable<number | null> }) {
  const radius = useObservable(props.radius);
  if (radius === null) return null;
  return <Ring center={props.center} radius={radius} className={styles.marked} />;
}
