/** One pane with the choice of what lies on it. */

import type { Domain } from "@h5web/lib";
import { useAttributeName } from "../../api/attributes";
import type { Annotation, Model } from "../../api/client";
import { Refusal } from "../../api/client";
import type { Layer } from "./FrameMesh";
import { attributeOf, gradientsOf, mapBy, mapOf, mapsOf, textOf, titleOf } from "./maps";
import type { Observable } from "./observable";
import styles from "./PaneView.module.css";
import { Picture, type Pixel } from "./Picture";
import type { Pane } from "./panes";
import type { Places } from "./RegionMarks";
import type { Geometry } from "./scattering";
import type { Change, Display } from "./settings";
import { type Evidence, useMap } from "./useFrame";
import type { View } from "./view";

interface Props {
  place: number;
  frameId: string;
  pane: Pane;
  /** That the page is about: what gradient maps are offered of while this pane shows none. */
  attribute: string | null;
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
  const { evidence, error, isAwaited, retry } = useMap(props.frameId, model, pane.map);
  const maps = mapsOf(annotation, model);
  const attribute = attributeOf(pane.map) ?? props.attribute ?? attributeOf(maps[0] ?? null);
  const gradients = gradientsOf(model, attribute);
  const isGradient = pane.map?.kind === "gradient";
  const center = { row: (height - 1) / 2, col: (width - 1) / 2 };
  const which = props.place === 0 ? "" : " on the right";
  return (
    <div className={styles.pane}>
      <div className={styles.bar}>
        <select
          aria-label={`Model${which}`}
          value={model?.version ?? ""}
          onChange={({ target: { value: version } }) => {
            const chosen = props.models.find((one) => one.version === version);
            props.onChange({ version, map: mapBy(chosen, pane.map) });
          }}
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
          onChange={({ target }) => props.onChange({ map: mapOf(target.value) })}
        >
          <option value={textOf(null)}>no overlay</option>
          {[...maps, ...gradients].map((map) => (
            <option key={textOf(map)} value={textOf(map)}>
              {titleOf(map, name)}
            </option>
          ))}
        </select>
        {isGradient && (isAwaited || isDark(evidence)) ? (
          <span className="muted" role="status">
            {isAwaited ? "being computed …" : "zero everywhere"}
          </span>
        ) : (
          pane.map &&
          !error && (
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
          )
        )}
        {error && (
          <span className={styles.problem} role="alert">
            <span>{error.message}</span>
            {error instanceof Refusal && <span className="muted">{error.remedy}</span>}
            <button type="button" onClick={() => retry()}>
              Try again
            </button>
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

function isDark(evidence: Evidence | null): boolean {
  return evidence?.values.every((value) => value <= 0) ?? false;
}
