/** One pane: the frame at full depth, an overlay, rings, and what lies under the cursor. */

import {
  type CanvasEvent,
  type Domain,
  Pan,
  SelectToZoom,
  useCanvasEvent,
  VisCanvas,
  Zoom,
} from "@h5web/lib";
import "@h5web/lib/styles.css";
import { useToken } from "../../ui/useToken";
import { lowestColor } from "./colors";
import { FrameMesh, type Layer } from "./FrameMesh";
import { BeamCross, centerOf, MarkedRing, Rings } from "./Marks";
import { OverlayMesh } from "./OverlayMesh";
import type { Observable } from "./observable";
import styles from "./Picture.module.css";
import { type Places, RegionMarks } from "./RegionMarks";
import { type Geometry, niceSpacing, ringsOn } from "./scattering";
import type { Display } from "./settings";
import type { Evidence } from "./useFrame";
import { FollowView, type View, viewAfter } from "./view";

/** A detector pixel. */
export interface Pixel {
  row: number;
  col: number;
}

interface Props {
  label: string;
  layer: Layer;
  height: number;
  width: number;
  domain: Domain;
  display: Display;
  geometry: Geometry | null;
  /** Where profiles are taken around. */
  center: Pixel;
  evidence: Evidence | null;
  /** Shown and drawn; null while one only looks. */
  places: Places | null;
  view: Observable<View>;
  cursor: Observable<Pixel | null>;
  marked: Observable<number | null>;
}

/**
 * Drag moves, the wheel zooms, Ctrl and drag chooses a part; arrows, + and - do so by keys. While
 * one draws, Shift and drag moves.
 */
export function Picture(props: Props) {
  const { layer, height, width, display, geometry, view, places } = props;
  const isDrawing = Boolean(places?.drawing);
  const gap = useToken("--gap-pixels");
  const masked = display.markMasked ? gap : lowestColor(display.colorMap, display.invert);

  function move(event: React.KeyboardEvent) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = viewAfter(keyOnFrame(event.key, display), view.get(), height, width);
    if (next === null) return;
    event.preventDefault();
    view.set(next);
  }

  const rings = geometry
    ? ringsOn(
        geometry,
        height,
        width,
        display.rings,
        display.spacing ?? niceSpacing(geometry, height, width, display.unit),
      )
    : [];
  return (
    <section
      className={styles.picture}
      aria-label={`${props.label}; arrow keys move, plus and minus zoom, 0 shows all`}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it is moved and zoomed by keys
      tabIndex={0}
      onKeyDown={move}
      data-testid="picture"
      data-pixels={layer.isFull ? "full" : "preview"}
      data-domain={props.domain.join(" ")}
      data-drawing={isDrawing || undefined}
      data-overlay={props.evidence ? "shown" : undefined}
    >
      <VisCanvas
        aspect="equal"
        abscissaConfig={{
          visDomain: [-0.5, width - 0.5],
          isIndexAxis: true,
          flip: display.mirrored,
          formatTick: String,
        }}
        ordinateConfig={{
          visDomain: [-0.5, height - 0.5],
          isIndexAxis: true,
          flip: !display.upsideDown,
          formatTick: String,
        }}
      >
        <Pan modifierKey={isDrawing ? "Shift" : undefined} />
        <Zoom />
        <SelectToZoom modifierKey="Control" />
        <FollowView view={view} />
        <Cursor cursor={props.cursor} height={height} width={width} />
        <FrameMesh layer={layer} domain={props.domain} display={display} maskedColor={masked} />
        {props.evidence && (
          <OverlayMesh
            evidence={props.evidence}
            layer={layer}
            height={height}
            width={width}
            opacity={display.opacity}
          />
        )}
        {geometry && display.center && <BeamCross center={centerOf(geometry)} />}
        {geometry && <Rings geometry={geometry} rings={rings} unit={display.unit} />}
        <MarkedRing
          center={geometry ? centerOf(geometry) : { ...props.center, aspect: 1 }}
          radius={props.marked}
        />
        {places && <RegionMarks places={places} height={height} width={width} />}
      </VisCanvas>
      {isDrawing && <p className={styles.hint}>The wheel zooms, Shift and drag moves.</p>}
    </section>
  );
}

const OPPOSITE: Record<string, string> = {
  ArrowUp: "ArrowDown",
  ArrowDown: "ArrowUp",
  ArrowLeft: "ArrowRight",
  ArrowRight: "ArrowLeft",
};

/** Arrows follow what one sees, also where rows or columns run the other way. */
function keyOnFrame(key: string, display: Display): string {
  const upright = key === "ArrowUp" || key === "ArrowDown";
  return (upright ? display.upsideDown : display.mirrored) ? (OPPOSITE[key] ?? key) : key;
}

/** Tells which pixel lies under the pointer. */
function Cursor(props: { cursor: Observable<Pixel | null>; height: number; width: number }) {
  useCanvasEvent("pointermove", ({ dataPt }: CanvasEvent<PointerEvent>) => {
    const [row, col] = [Math.round(dataPt.y), Math.round(dataPt.x)];
    const inside = row >= 0 && col >= 0 && row < props.height && col < props.width;
    const before = props.cursor.get();
    if (!inside) {
      if (before) props.cursor.set(null);
    } else if (before?.row !== row || before.col !== col) props.cursor.set({ row, col });
  });
  return null;
}
