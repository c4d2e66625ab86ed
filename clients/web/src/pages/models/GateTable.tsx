/** What the gate measured: candidate beside production, figure by figure. */

import { useState } from "react";
import { useAttributeName } from "../../api/attributes";
import { shown } from "./figures";
import styles from "./Models.module.css";
import { Verdict } from "./State";
import type { Detail } from "./useModels";

const WORDS: Record<string, string> = {
  mean_ap: "mAP",
  ap: "AP",
  mean_ece: "mean ECE",
  pointing: "pointing hits",
};

/** Failed checks first; a report against another version counts no more. */
export function GateTable(props: { report: Detail["gate"]; production: string | undefined }) {
  const { report, production } = props;
  const [onlyFailed, setOnlyFailed] = useState(false);
  const name = useAttributeName();
  if (report === null) {
    return (
      <p className="muted">
        It was not measured against production. On a machine with test frames:{" "}
        <code>scatterlens gate VERSION</code>.
      </p>
    );
  }
  const failed = report.checks.filter((check) => !check.passed);
  const rows = onlyFailed ? failed : [...failed, ...report.checks.filter((check) => check.passed)];
  return (
    <>
      <p>
        <Verdict passed={report.passed} /> against <code>{report.against}</code>
        {production !== undefined && report.against !== production && (
          <strong className={styles.failed}>
            , which is not production now: it counts no more, measure again
          </strong>
        )}
        ; on{" "}
        {report.frames
          .map((one) => `${one.name} (${one.frames} frames, ${one.experiments} experiments)`)
          .join(", ")}
      </p>
      {failed.length > 0 && (
        <label>
          <input
            type="checkbox"
            checked={onlyFailed}
            onChange={(event) => setOnlyFailed(event.target.checked)}
          />{" "}
          only the {failed.length} that failed
        </label>
      )}
      <div className={styles.scroll}>
        <table className={styles.table}>
          <thead>
            <tr>
              <th scope="col">Frames</th>
              <th scope="col">Figure</th>
              <th scope="col">Candidate</th>
              <th scope="col">Production</th>
              <th scope="col">Loss (99 % interval)</th>
              <th scope="col">Tolerance</th>
              <th scope="col">Verdict</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((check) => (
              <tr key={`${check.frames} ${check.figure} ${check.attribute}`}>
                <td>{check.frames}</td>
                <th scope="row">
                  {WORDS[check.figure] ?? check.figure}
                  {check.attribute && ` ${name(check.attribute)}`}
                </th>
                <td>{shown(check.candidate)}</td>
                <td>{shown(check.production)}</td>
                <td>
                  {shown(check.loss)}
                  {check.interval && ` (${check.interval.map((end) => shown(end)).join(" – ")})`}
                </td>
                <td>{check.tolerance}</td>
                <td>
                  <Verdict passed={check.passed} />
                  {check.note && <span className="muted"> {check.note}</span>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
