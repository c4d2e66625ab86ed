/** What a place shows that has nothing to show: still loading, empty, or refused. */

import type { ReactNode } from "react";
import { Refusal } from "../api/client";
import styles from "./Notice.module.css";

/** Something is on its way; read out politely. */
export function Loading(props: { what: string }) {
  return (
    <div className={styles.notice} role="status">
      <span className={styles.spinner} aria-hidden="true" />
      <p className="muted">Loading {props.what} …</p>
    </div>
  );
}

/** There is nothing; the children say why, and what to do. */
export function Nothing(props: { title: string; children?: ReactNode }) {
  return (
    <div className={styles.notice}>
      <h2>{props.title}</h2>
      <div className="muted">{props.children}</div>
    </div>
  );
}

/** A request was refused: what happened, the remedy, and a way to try again. */
export function Failure(props: { error: Error; onRetry?: () => void }) {
  const { error } = props;
  const title = error instanceof Refusal ? error.title : "Something failed";
  return (
    <div className={styles.notice} role="alert">
      <h2>{title}</h2>
      {error.message !== title && <p>{error.message}</p>}
      {error instanceof Refusal && <p className="muted">{error.remedy}</p>}
      {props.onRetry && (
        <button type="button" onClick={props.onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}
