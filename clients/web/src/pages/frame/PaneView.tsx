/** One pane with the choice of what lies on it. */

import type { Domain } from "@h5web/lib";
import { useAttributeName } from "../../api/attributes";
import type { Layer } from "./FrameMesh";
import type { Observable } from "./observable";
import styles from "./PaneView.module.css";
import { Picture, type Pixel } from "./Picture";
import { mapsOf, type Pane, textOf } from "./panes";
import type { Places } from "./RegionMarks";
import type { Geometry } from "./scattering";
import type { Change, Display } from "./settings";
import { type Annotation, type Model, useMap } from "./useFrame";
import type { View } from "./view";

interface Props {
  place: number;
  frameId: string;
  pane: Pane;
  onChange: (part: Partial<Pane>) => void;
  model: Model | undefined;
  models: readonly Model[];
  annotation: Annotation | undefined;
  layer: Layer;
  height: number;
  width: number;
  domain: Domain;
  display: Display;
  onDisplay: Change;
  geometry: Geometry | null;
  places: Places | null;
  view: Observable<View>;
  cursor: Observable<Pixel | null>;
  marked: Observable<number | null>;
}

/** Model, map and opacity above the picture. */
export function PaneView(props: Props) {
  const { pane, model, annotation, display, height, width } = props;
  const name = useAttributeName();
  const { evidence, error } = useMap(props.frameId, model, pane.map);
  const maps = mapsOf(annotation, model);
  const center = { row: (height - 1) / 2, col: (width - 1) / 2 };
  const which = props.place === 0 ? "" : " on the right";
  return (
    <div className={styles.pane}>
      <div className={styles.bar}>
        <select
          aria-label={`Model${which}`}
          value={model?.version ?? ""}
          onChange={({ target }) => props.onChange({ version: target.value })}
        >
          {props.models.map((one) => (
            <option key={one.version} value={one.version}>
              {one.name} {one.version}
            </option>
          ))}
        </select>
        <select
          aria-label={`Overlay${which}`}
          value={textOf(pane.map)}
          onChange={({ target }) => {
            const map = maps.find((one) => textOf(one) === target.value) ?? null;
            props.onChange({ map });
          }}
        >
          <option value={textOf(null)}>no overlay</option>
          {maps.map((map) => (
            <option key={textOf(map)} value={textOf(map)}>
              {map.kind === "attribute" ? name(map.name) : `attention: ${map.name}`}
            </option>
          ))}
        </select>
        {pane.map && (
          <label className={styles.opacity}>
            opacity
            <input
              type="range"
              min={0}
              max={1}
              step={0.05}
              value={display.opacity}
              onChange={({ target }) => props.onDisplay({ opacity: Number(target.value) })}
            />
          </label>
        )}
        {error && (
          <span className={styles.problem} role="alert">
            {error.message}
          </span>
        )}
      </div>
      <Picture
        label={`Detector frame${which}`}
        layer={props.layer}
        height={height}
        width={width}
        domain={props.domain}
        display={display}
        geometry={props.geometry}
        center={center}
        // What one draws around lies below the overlay.
        evidence={pane.map && !props.places?.drawing ? evidence : null}
        places={props.places}
        view={props.view}
        cursor={props.cursor}
        marked={props.marked}
      />
    </div>
  );
}
