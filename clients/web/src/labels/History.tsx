/** Who said what about a frame, and when. */

import { useState } from "react";
import { useAttributeName } from "../api/attributes";
import { Failure, Loading } from "../ui/Notice";
import styles from "./LabelPanel.module.css";
import { useLabelHistory } from "./useLabels";

/** Closed at first; asked for when it is opened. */
export function History(props: { frame: string }) {
  const [open, setOpen] = useState(false);
  const { data, error, refetch } = useLabelHistory(props.frame, open);
  const name = useAttributeName();
  return (
    <details className={styles.history} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Who said what</summary>
      {error ? (
        <Failure error={error} onRetry={refetch} />
      ) : data === undefined ? (
        open && <Loading what="history" />
      ) : data.length === 0 ? (
        <p className="muted">Nobody has said anything about this frame.</p>
      ) : (
        <ol reversed>
          {[...data].reverse().map((entry) => (
            <li key={`${entry.time} ${entry.person} ${entry.attribute}`}>
              <time dateTime={entry.time}>{new Date(entry.time).toLocaleString()}</time>{" "}
              <strong>{entry.author}</strong>: {name(entry.attribute)} {entry.value ?? "withdrawn"}
              {entry.note && <q>{entry.note}</q>}
              {entry.region && " (region)"}
              {entry.shown && (
                <span className="muted"> before {entry.shown.model.split("@")[0]}</span>
              )}
            </li>
          ))}
        </ol>
      )}
    </details>
  );
}
