/** The page of one frame: see it at full depth, see what models saw, judge it. */

import { useMemo, useState } from "react";
import { Link, useLocation, useNavigate, useParams } from "react-router";
import { LabelPanel } from "../../labels/LabelPanel";
import { useRegions } from "../../labels/useLabels";
import type { Drawing } from "../../labels/useSketch";
import { useKeys } from "../../ui/keys";
import { Failure, Loading } from "../../ui/Notice";
import { About } from "./About";
import { Attributes } from "./Attributes";
import { Controls } from "./Controls";
import { contrast, sortedLive } from "./contrast";
import { Downloads } from "./Downloads";
import styles from "./Frame.module.css";
import { attributeOf, mapAfter, mapsOf } from "./maps";
import { type Observable, observable } from "./observable";
import { PaneView } from "./PaneView";
import type { Pixel } from "./Picture";
import { Profiles } from "./Profiles";
import { usePanes } from "./panes";
import { Readout } from "./Readout";
import { useDisplay } from "./settings";
import { useAnnotations, useDetail, useModels, useNeighbours, usePixels } from "./useFrame";
import { type View, wholeOf } from "./view";

/** Page at `/frames/<id>`. */
export default function Frame() {
  const { frameId = "" } = useParams();
  const detail = useDetail(frameId);
  // The most to carry is asked for first, before anything is known of the frame.
  const pixels = usePixels(frameId, detail.data?.shape);
  if (detail.isPending) return <Loading what="frame" />;
  if (detail.error) return <Failure error={detail.error} onRetry={detail.refetch} />;
  return <KnownFrame key={frameId} frame={detail.data} pixels={pixels} />;
}

type Known = NonNullable<ReturnType<typeof useDetail>["data"]>;

function KnownFrame(props: { frame: Known; pixels: ReturnType<typeof usePixels> }) {
  const { frame } = props;
  const frameId = frame.frame_id;
  const geometry = frame.geometry ?? null;
  const [display, changeDisplay] = useDisplay();
  const { layer, error, retry } = props.pixels;
  const said = useAnnotations(frameId);
  const models = useModels();
  const { panes, change, setBeside, correcting, setCorrecting } = usePanes();
  const [cursor] = useState(() => observable<Pixel | null>(null));
  const [marked] = useState(() => observable<number | null>(null));

  const annotations = said.data?.annotations ?? [];
  const asked = models.filter(({ version }) =>
    annotations.some(({ model }) => model.version === version),
  );
  const chosen = panes.map(({ version }) => ({
    model: asked.find((one) => one.version === version) ?? asked[0],
    annotation:
      annotations.find(({ model }) => model.version === version) ??
      annotations.find(({ model }) => model.version === asked[0]?.version) ??
      annotations[0],
  }));
  const first = chosen[0];
  const firstMap = panes[0]?.map ?? null;

  const sorted = useMemo(() => layer && sortedLive(layer.values), [layer]);
  const domain = useMemo(
    () => sorted && contrast(sorted, display.percentiles, display.scale),
    [sorted, display.percentiles, display.scale],
  );
  const [height, width] = frame.shape ?? (layer?.isFull ? [layer.height, layer.width] : [0, 0]);
  const view = useSharedView(height, width);

  const list = useLocation().search;
  const { previous, next } = useNeighbours(frameId, frame);
  const navigate = useNavigate();
  useKeys((key) => {
    if (key === "[" && previous) navigate(`/frames/${previous}${list}`);
    else if (key === "]" && next) navigate(`/frames/${next}${list}`);
    else if (key === "o")
      change(0, { map: mapAfter(firstMap, mapsOf(first?.annotation, first?.model)) });
    else if (key === "m") changeDisplay({ markMasked: !display.markMasked });
    else if (key === "c") correct(!correcting);
    else return false;
    return true;
  });

  const shown = attributeOf(firstMap);
  const [drawing, setDrawing] = useState<Drawing | null>(null);
  const regions = useRegions(frameId, shown, correcting);
  const places = correcting ? { regions, drawing, onDrawing: setDrawing } : null;

  function show(id: string | null) {
    setDrawing(null);
    change(0, { map: id === null ? null : { kind: "attribute", name: id } });
  }

  function correct(isOn: boolean) {
    setDrawing(null);
    setCorrecting(isOn);
  }

  const answer = first?.annotation;
  const labelled = answer?.state === "done" ? answer : undefined;

  const name = frame.filename ?? frameId.slice(0, 12);
  return (
    <div className={styles.page}>
      <div className={styles.head}>
        <h1 title={frameId}>
          {name}
          {frame.index !== null && <span className="muted"> · image {frame.index}</span>}
        </h1>
        {frame.scan && <span className="muted">scan {frame.scan}</span>}
        <span className={styles.gap} />
        <Step to={previous && `/frames/${previous}${list}`} name="Previous" sign="‹" hint="[" />
        <Step to={next && `/frames/${next}${list}`} name="Next" sign="›" hint="]" />
        <Link className="button" to={`/search?similar=${frameId}`}>
          Similar
        </Link>
        <button
          type="button"
          aria-pressed={panes.length > 1}
          onClick={() => setBeside(panes.length === 1)}
        >
          Side by side
        </button>
        <Downloads frameId={frameId} name={name} model={first?.model} map={firstMap} />
      </div>
      <div className={styles.seen}>
        <div className={styles.panes} data-count={panes.length}>
          {layer && domain && height > 0 ? (
            panes.map((pane, place) => (
              <PaneView
                // biome-ignore lint/suspicious/noArrayIndexKey: panes are known by their place
                key={place}
                place={place}
                frameId={frameId}
                pane={pane}
                attribute={shown}
                onChange={(part) => change(place, part)}
                model={chosen[place]?.model}
                models={asked}
                annotation={chosen[place]?.annotation}
                layer={layer}
                height={height}
                width={width}
                domain={domain}
                display={display}
                onDisplay={changeDisplay}
                geometry={geometry}
                places={places}
                view={view}
                cursor={cursor}
                marked={marked}
              />
            ))
          ) : error ? (
            <Failure error={error} onRetry={retry} />
          ) : (
            <Loading what="pixels" />
          )}
        </div>
        <div className={styles.below}>
          <Readout cursor={cursor} layer={layer} geometry={geometry} unit={display.unit} />
          {layer && !layer.isFull && (
            <span className="muted" role="status">
              {error ? `Only a preview: ${error.message}` : "preview; all pixels are coming …"}
            </span>
          )}
        </div>
        {domain && (
          <Controls
            display={display}
            onChange={changeDisplay}
            domain={domain}
            geometry={geometry}
          />
        )}
      </div>
      <aside className={styles.side} aria-label="About this frame">
        <section>
          <div className={styles.choice}>
            <h2>Attributes</h2>
            <button
              type="button"
              aria-pressed={correcting}
              onClick={() => correct(!correcting)}
              title="c"
            >
              Correct
            </button>
          </div>
          {said.error ? (
            <Failure error={said.error} onRetry={said.refetch} />
          ) : said.isPending ? (
            <Loading what="attributes" />
          ) : (
            <>
              {first?.annotation && (
                <p className="muted">
                  by {first.annotation.model.name}{" "}
                  <span className="mono">{first.annotation.model.version}</span>
                </p>
              )}
              {correcting ? (
                <LabelPanel
                  frameId={frameId}
                  annotation={labelled}
                  chosen={shown}
                  onChoose={show}
                  drawing={drawing}
                  onDrawing={setDrawing}
                />
              ) : (
                <Attributes
                  annotation={first?.annotation}
                  agreement={said.data.agreement}
                  shown={shown}
                  onShow={show}
                />
              )}
            </>
          )}
        </section>
        <section>
          <h2>Profiles</h2>
          <Profiles
            frameId={frameId}
            isKnown={frame.shape !== null}
            unit={display.unit}
            marked={marked}
          />
        </section>
        <section>
          <h2>Provenance</h2>
          <About frame={frame} annotations={annotations} />
        </section>
      </aside>
    </div>
  );
}

/** A link to a neighbour; a disabled button where there is none. */
function Step(props: { to: string | null | undefined; name: string; sign: string; hint: string }) {
  const label = `${props.name} frame (${props.hint})`;
  return props.to ? (
    <Link className="button" to={props.to} aria-label={label} title={label}>
      {props.sign}
    </Link>
  ) : (
    <button type="button" disabled aria-label={label} title={label}>
      {props.sign}
    </button>
  );
}

/** The view of all panes; begins with the whole frame once its size is known. */
function useSharedView(height: number, width: number): Observable<View> {
  return useMemo(() => observable(wholeOf(height, width)), [height, width]);
}
