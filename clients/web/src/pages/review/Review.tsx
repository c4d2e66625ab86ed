/** Frames that a person should look at, one at a time: see, correct, go on. */

import { useState } from "react";
import { useSearchParams } from "react-router";
import { useAttributes } from "../../api/attributes";
import { useKeys } from "../../ui/keys";
import { Failure, Loading, Nothing } from "../../ui/Notice";
import { FrameReview } from "./FrameReview";
import { KeyHelp } from "./KeyHelp";
import styles from "./Review.module.css";
import { Strip } from "./Strip";
import { type Queue, useProgress, useQueue } from "./useQueue";

const QUEUES: Record<Queue, { name: string; about: string; empty: string }> = {
  uncertain: {
    name: "Uncertain",
    about: "Near the threshold: what a judgement teaches most.",
    empty: "You judged every frame of it, or no frame is annotated yet.",
  },
  disagreement: {
    name: "Models disagree",
    about: "Where the models that annotated a frame differ most.",
    empty: "It fills when several models annotate the same frames.",
  },
  model_vs_human: {
    name: "Against people",
    about: "The model contradicts what people say.",
    empty: "No tag contradicts a label.",
  },
  novel: {
    name: "Novel",
    about: "Unlike the frames that the model was validated on.",
    empty: "You labelled every frame of it, or no frame is annotated yet.",
  },
};

/** Page at `/review`; queue and attribute are part of the address. */
export default function Review() {
  const [address, setAddress] = useSearchParams();
  const asked = address.get("by") ?? "";
  const by: Queue = isQueue(asked) ? asked : "uncertain";
  const attribute = address.get("attribute") ?? undefined;

  function choose(name: "by" | "attribute", value: string) {
    setAddress(
      (before) => {
        if (value) before.set(name, value);
        else before.delete(name);
        return before;
      },
      { replace: true },
    );
  }

  return (
    <div className={styles.page}>
      <div className={styles.bar}>
        <h1>Review</h1>
        <fieldset className={styles.queues} aria-label="Queue">
          {Object.entries(QUEUES).map(([queue, { name, about }]) => (
            <button
              key={queue}
              type="button"
              aria-pressed={queue === by}
              title={about}
              onClick={() => choose("by", queue)}
            >
              {name}
            </button>
          ))}
        </fieldset>
        <AttributeChoice chosen={attribute} onChoose={(id) => choose("attribute", id)} />
        <Progress by={by} attribute={attribute} />
      </div>
      <OneQueue key={`${by} ${attribute}`} by={by} attribute={attribute} />
    </div>
  );
}

const isQueue = (name: string): name is Queue => name in QUEUES;

function AttributeChoice(props: { chosen: string | undefined; onChoose: (id: string) => void }) {
  const attributes = useAttributes();
  return (
    <select
      aria-label="Attribute"
      value={props.chosen ?? ""}
      onChange={(event) => props.onChoose(event.target.value)}
    >
      <option value="">all attributes</option>
      {attributes.map(({ id, name }) => (
        <option key={id} value={id}>
          {name}
        </option>
      ))}
    </select>
  );
}

function Progress(props: { by: Queue; attribute: string | undefined }) {
  const progress = useProgress(props.by, props.attribute);
  if (progress === undefined) return null;
  const { judged, frames, more } = progress;
  const total = `${frames.toLocaleString()}${more ? "+" : ""}`;
  if (judged === null) return <span className={styles.progress}>{total} to settle</span>;
  return (
    <span className={styles.progress}>
      <progress value={judged} max={Math.max(frames, judged, 1)} aria-label="Judged frames" />
      <span data-testid="progress">
        {judged.toLocaleString()} of {total}
      </span>
    </span>
  );
}

function OneQueue(props: { by: Queue; attribute: string | undefined }) {
  const { items, error, isPending, refetch, hasNextPage, fetchNextPage } = useQueue(
    props.by,
    props.attribute,
  );
  const [at, setAt] = useState(0);
  const [done, setDone] = useState<ReadonlySet<string>>(new Set());
  const [help, setHelp] = useState(false);

  function go(place: number) {
    setAt(Math.min(Math.max(place, 0), items.length));
    if (place >= items.length - 10 && hasNextPage) void fetchNextPage();
  }

  useKeys((key) => {
    if (key === "j" || key === "]") go(Math.min(at + 1, Math.max(items.length - 1, 0)));
    else if (key === "k" || key === "[") go(at - 1);
    else if (key === "?") setHelp(true);
    else return false;
    return true;
  });

  if (isPending) return <Loading what="the queue" />;
  if (error) return <Failure error={error} onRetry={refetch} />;
  const item = items[at];
  return (
    <>
      <Strip items={items} at={at} done={done} onGo={go} onHelp={() => setHelp(true)} />
      {item ? (
        <FrameReview
          key={item.frame.frame_id}
          item={item}
          next={items[at + 1]?.frame.frame_id}
          onSaid={() => setDone((before) => new Set(before).add(item.frame.frame_id))}
          onNext={() => go(at + 1)}
        />
      ) : (
        <Nothing title={items.length > 0 ? "That was the last one" : "Nothing to review here"}>
          <p>{items.length > 0 ? "Look again for what came meanwhile." : QUEUES[props.by].empty}</p>
          <button
            type="button"
            onClick={() => {
              setAt(0);
              void refetch();
            }}
          >
            Look again
          </button>
        </Nothing>
      )}
      {help && <KeyHelp onClose={() => setHelp(false)} />}
    </>
  );
}
