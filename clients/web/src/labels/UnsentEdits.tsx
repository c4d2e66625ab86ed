/** Edits that the gateway does not have: waiting for it, in conflict, or refused. */

import { useAttributeName } from "../api/attributes";
import styles from "./LabelPanel.module.css";
import type { Said } from "./saying";
import { useOutbox, useUnsent } from "./useLabels";

/** What is said of a frame's edits; nothing while all is well. */
export function UnsentEdits(props: { frame: string }) {
  const outbox = useOutbox();
  const { edits, state } = useUnsent();
  const name = useAttributeName();
  const mine = edits.filter((edit) => edit.frame === props.frame);
  const stuck = mine.filter((edit) => edit.conflict || edit.refused);
  return (
    <>
      {state === "waiting" && (
        <p className={styles.waiting} role="status">
          {edits.length === 1 ? "1 edit waits" : `${edits.length} edits wait`} for the connection:
          kept in this browser, sent when it is back.
        </p>
      )}
      {stuck.map((edit) => (
        <div key={edit.id} className={styles.stuck} role="alert">
          <p>
            <strong>{name(edit.attribute)}</strong>{" "}
            {edit.conflict
              ? `was changed in another window: there ${words(edit.conflict)}, here ${words(edit.said)}.`
              : `was not taken. ${edit.refused}`}
          </p>
          <span className={styles.actions}>
            <button type="button" onClick={() => outbox.insist(edit.id)}>
              {edit.conflict ? `Say ${words(edit.said)}` : "Try again"}
            </button>
            <button type="button" onClick={() => outbox.discard(edit.id)}>
              {edit.conflict ? `Leave ${words(edit.conflict)}` : "Give up"}
            </button>
          </span>
        </div>
      ))}
    </>
  );
}

function words({ value, note, region }: Said): string {
  if (value === null) return "nothing";
  const more = [note && `“${note}”`, region && "with a region"].filter(Boolean);
  return [value, ...more].join(", ");
}

/** In the header of every page, while edits wait: how many. */
export function UnsentCount() {
  const { edits } = useUnsent();
  if (edits.length === 0) return null;
  return (
    <span className={styles.count} role="status" title="Kept in this browser until they are sent">
      {edits.length} unsent
    </span>
  );
}
