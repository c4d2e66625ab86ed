/** The queue as a strip of thumbnails: where one is, and what is done. */

import { useEffect, useRef } from "react";
import styles from "./Review.module.css";
import type { Item } from "./useQueue";

interface Props {
  items: readonly Item[];
  at: number;
  done: ReadonlySet<string>;
  onGo: (place: number) => void;
  onHelp: () => void;
}

/** Nothing where the queue is empty. */
export function Strip(props: Props) {
  const { items, at, onGo } = props;
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => {
    list.current?.children[at]?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [at]);
  if (items.length === 0) return null;
  return (
    <div className={styles.strip}>
      <button type="button" disabled={at === 0} onClick={() => onGo(at - 1)} title="k">
        ‹<span className="visually-hidden">Previous frame</span>
      </button>
      <ol ref={list} className={styles.thumbnails}>
        {items.map(({ frame }, place) => {
          const isDone = props.done.has(frame.frame_id);
          const name = frame.filename ?? frame.frame_id.slice(0, 12);
          return (
            <li key={frame.frame_id}>
              <button
                type="button"
                className={styles.thumbnail}
                aria-current={place === at}
                aria-label={`Frame ${place + 1}: ${name}${isDone ? ", done" : ""}`}
                title={name}
                data-done={isDone}
                onClick={() => onGo(place)}
              >
                <img
                  src={`/api/v1/frames/${frame.frame_id}/preview.png?size=128`}
                  alt=""
                  loading="lazy"
                />
              </button>
            </li>
          );
        })}
      </ol>
      <button
        type="button"
        disabled={at >= items.length - 1}
        onClick={() => onGo(at + 1)}
        title="j"
      >
        ›<span className="visually-hidden">Next frame</span>
      </button>
      <button type="button" onClick={props.onHelp} title="?">
        Keys
      </button>
    </div>
  );
}
