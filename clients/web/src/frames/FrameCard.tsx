/** One frame of a list: thumbnail (log scale, masked pixels neutral), name, tags. */

import { useEffect, useState } from "react";
import { Link } from "react-router";
import { Chips } from "../ui/Chips";
import styles from "./FrameCard.module.css";
import type { Frame } from "./list";

const WORDS: Partial<Record<Frame["state"], string>> = {
  queued: "waiting for its turn",
  leased: "being looked at",
  failed: "not readable",
  quarantined: "in quarantine",
  cancelled: "not looked at",
};

interface Props {
  frame: Frame;
  /** Is added to the address, to know the list it came from. */
  search?: string;
  /** Nobody can see it as it passes: its picture is asked for once this is over. */
  passing?: boolean;
}

/** Card that opens its frame. */
export function FrameCard(props: Props) {
  const { frame } = props;
  const label = frame.filename ?? frame.frame_id.slice(0, 12);
  return (
    <Link
      className={styles.card}
      to={{ pathname: `/frames/${frame.frame_id}`, search: props.search }}
      data-frame={frame.frame_id}
    >
      <span className={styles.picture}>
        {frame.state === "done" ? (
          <Thumbnail frameId={frame.frame_id} passing={props.passing ?? false} />
        ) : (
          <span className={styles.state} data-state={frame.state}>
            {WORDS[frame.state]}
          </span>
        )}
      </span>
      <span className={styles.name} title={label}>
        {label}
        {frame.index !== null && ` · ${frame.index}`}
      </span>
      <span className={styles.about}>
        <time dateTime={frame.submitted}>{timeOfDay(frame.submitted)}</time>
        {frame.scan && <span title={`Scan ${frame.scan}`}>{frame.scan}</span>}
      </span>
      <span className={styles.tags}>
        <Chips tags={frame.tags} most={2} />
      </span>
    </Link>
  );
}

/** Stands where a frame will be. */
export function NoFrameYet() {
  return (
    <span className={styles.card} data-frame-missing>
      <span className={styles.picture} />
    </span>
  );
}

function Thumbnail(props: { frameId: string; passing: boolean }) {
  const [state, setState] = useState<"loading" | "shown" | "broken">("loading");
  const [isAsked, setAsked] = useState(false);
  const source = `/api/v1/frames/${props.frameId}/preview.png?size=256`;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another frame begins anew
  useEffect(() => setState("loading"), [props.frameId]);
  if (!isAsked) {
    if (props.passing) return null;
    setAsked(true);
  }
  if (state === "broken") return <span className={styles.state}>no picture</span>;
  return (
    <img
      src={source}
      alt=""
      decoding="async"
      data-state={state}
      onLoad={() => setState("shown")}
      onError={() => setState("broken")}
    />
  );
}

/** `14:03:21`; day and minute where it is not today. */
function timeOfDay(iso: string): string {
  const time = new Date(iso);
  const clock = time.toLocaleTimeString([], { hour12: false });
  if (time.toDateString() === new Date().toDateString()) return clock;
  const day = time.toLocaleDateString([], { day: "numeric", month: "short" });
  return `${day} ${clock.slice(0, 5)}`;
}
