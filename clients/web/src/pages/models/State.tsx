/** What a model is to the service, and what the gate said: words with a colour. */

import styles from "./Models.module.css";
import type { Model } from "./useModels";

/** production, active, candidate or registered. */
export const State = (props: { state: Model["state"] }) => (
  <span className={styles.state} data-state={props.state}>
    {props.state}
  </span>
);

/** The gate's verdict against the version that is production now. */
export function Gate(props: { verdict: "passed" | "failed" | null }) {
  if (props.verdict === null) return <span className="muted">not asked</span>;
  return <Verdict passed={props.verdict === "passed"} />;
}

/** Passed or failed, told by sign, word and colour. */
export const Verdict = (props: { passed: boolean }) => (
  <span className={props.passed ? styles.passed : styles.failed}>
    {props.passed ? "✓ passed" : "✕ failed"}
  </span>
);
