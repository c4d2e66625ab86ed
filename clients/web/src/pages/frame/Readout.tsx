/** What lies under the cursor. */

import type { Layer } from "./FrameMesh";
import { type Observable, useObservable } from "./observable";
import type { Pixel } from "./Picture";
import styles from "./Readout.module.css";
import { directionOf, type Geometry, qText, type Unit } from "./scattering";

/** Row, column, counts; with geometry also q, d, 2θ and χ. */
export function Readout(props: {
  cursor: Observable<Pixel | null>;
  layer: Layer | null;
  geometry: Geometry | null;
  unit: Unit;
}) {
  const pixel = useObservable(props.cursor);
  const { geometry, unit } = props;
  const at = pixel && geometry ? directionOf(geometry, pixel.row, pixel.col) : null;
  const length = unit === "nm" ? 1 : 10;
  return (
    <dl className={styles.readout} data-testid="readout">
      <Entry name="row" value={pixel && String(pixel.row)} />
      <Entry name="col" value={pixel && String(pixel.col)} />
      <Entry name="counts" value={pixel && countsAt(props.layer, pixel)} wide />
      {geometry && (
        <>
          <Entry name="q" value={at && qText(at.q, unit)} wide />
          <Entry
            name="d"
            value={
              at &&
              (Number.isFinite(at.d)
                ? `${(at.d * length).toPrecision(4)} ${unit === "nm" ? "nm" : "Å"}`
                : "∞")
            }
            wide
          />
          <Entry name="2θ" value={at && `${at.twoTheta.toFixed(3)}°`} />
          <Entry name="χ" value={at && `${at.chi.toFixed(1)}°`} />
        </>
      )}
    </dl>
  );
}

function Entry(props: { name: string; value: string | null; wide?: boolean }) {
  return (
    <div className={props.wide ? styles.wide : styles.entry}>
      <dt>{props.name}</dt>
      <dd>{props.value ?? "–"}</dd>
    </div>
  );
}

function countsAt(layer: Layer | null, { row, col }: Pixel): string {
  if (layer === null) return "–";
  if (!layer.isFull) return "…";
  const value = layer.values[row * layer.width + col];
  if (value === undefined) return "–";
  if (Number.isNaN(value)) return "masked";
  return Number.isInteger(value) ? value.toLocaleString("en") : value.toPrecision(5);
}
