/** One frame of a queue: large, with the evidence for the chosen attribute, and its labels. */

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link } from "react-router";
import { useAttributeName } from "../../api/attributes";
import { api, dataOf } from "../../api/client";
import { LabelPanel } from "../../labels/LabelPanel";
import { RegionLayer } from "../../labels/RegionLayer";
import { useRegions } from "../../labels/useLabels";
import type { Drawing, OnDrawing } from "../../labels/useSketch";
import { useKeys } from "../../ui/keys";
import { Failure } from "../../ui/Notice";
import styles from "./Review.module.css";
import type { Item } from "./useQueue";

interface Props {
  item: Item;
  /** The frame after it, whose picture is fetched ahead. */
  next: string | undefined;
  onSaid: () => void;
  onNext: () => void;
}

/** Its picture on the left, its labels on the right. */
export function FrameReview(props: Props) {
  const { frame, attribute, figure } = props.item;
  const frameId = frame.frame_id;
  const path = { frame_id: frameId };
  const name = useAttributeName();
  const [picked, setPicked] = useState<string | null>(attribute);
  const [drawing, setDrawing] = useState<Drawing | null>(null);
  const {
    data: annotation,
    error,
    refetch,
  } = useQuery({
    queryKey: ["annotation", frameId],
    queryFn: () => dataOf(api.GET("/api/v1/frames/{frame_id}/annotation", { params: { path } })),
  });
  const chosen = picked ?? annotation?.attributes?.find(({ tag }) => tag)?.id ?? null;

  useEffect(() => {
    if (props.next) new Image().src = previewOf(props.next);
  }, [props.next]);

  return (
    <div className={styles.frame}>
      <div className={styles.left}>
        <div className={styles.about}>
          <Link to={`/frames/${frameId}`} title="Open the frame's page">
            {frame.filename ?? frameId.slice(0, 12)}
            {frame.index !== null && ` · ${frame.index}`}
          </Link>
          {frame.scan && <span className="muted">{frame.scan}</span>}
          <span className="muted">
            {attribute ? `${name(attribute)}, ` : ""}doubt {figure.toFixed(2)}
          </span>
        </div>
        <Picture frameId={frameId} attribute={chosen} drawing={drawing} onDrawing={setDrawing} />
      </div>
      <div className={styles.right}>
        {error && <Failure error={error} onRetry={refetch} />}
        <LabelPanel
          frameId={frameId}
          annotation={annotation}
          first={attribute}
          chosen={chosen}
          onChoose={setPicked}
          drawing={drawing}
          onDrawing={setDrawing}
          onSaid={props.onSaid}
          onConfirmed={props.onNext}
        />
      </div>
    </div>
  );
}

const previewOf = (frameId: string) => `/api/v1/frames/${frameId}/preview.png`;

interface PictureProps {
  frameId: string;
  attribute: string | null;
  drawing: Drawing | null;
  onDrawing: OnDrawing;
}

function Picture(props: PictureProps) {
  const { frameId, attribute } = props;
  const [overlay, setOverlay] = useState(true);
  const [broken, setBroken] = useState<string | null>(null);
  const name = useAttributeName();
  const regions = useRegions(frameId, attribute);
  const { data: detail } = useQuery({
    queryKey: ["frame", frameId],
    queryFn: () =>
      dataOf(api.GET("/api/v1/frames/{frame_id}", { params: { path: { frame_id: frameId } } })),
  });
  const [height, width] = detail?.shape ?? [];
  useKeys((key) => {
    if (key === "o") setOverlay(!overlay);
    return key === "o";
  });
  const withOverlay = overlay && attribute !== null && props.drawing === null;
  const source = withOverlay
    ? `/api/v1/frames/${frameId}/overlays/${attribute}.png?opacity=0.6`
    : previewOf(frameId);
  return (
    <>
      <div className={styles.picture}>
        {broken === source ? (
          <p className="muted">There is no picture of this frame.</p>
        ) : (
          <img
            src={source}
            alt={withOverlay ? `The frame; where ${name(attribute)} was seen` : "The frame"}
            onError={() => setBroken(source)}
          />
        )}
        {height !== undefined && width !== undefined && (
          <RegionLayer
            shape={[height, width]}
            regions={regions}
            drawing={props.drawing}
            onDrawing={props.onDrawing}
          />
        )}
      </div>
      <label className={styles.overlay}>
        <input
          type="checkbox"
          checked={overlay}
          onChange={(event) => setOverlay(event.target.checked)}
        />
        {attribute ? `Show where ${name(attribute)} was seen` : "Show the evidence"}
      </label>
    </>
  );
}
