/** All trainings: what goes on, what came of them, starting one. */

import { useState } from "react";
import { Link } from "react-router";
import { useMay } from "../../api/session";
import { Failure, Loading, Nothing } from "../../ui/Notice";
import { progressOf } from "./progress";
import { StartDialog } from "./StartDialog";
import styles from "./Training.module.css";
import { type Run, useTrainingChanges, useTrainings } from "./useTrainings";

/** Page at `/training`. */
export default function Trainings() {
  useTrainingChanges();
  const { data: runs, error, refetch } = useTrainings();
  const mayTrain = useMay("train:run");
  const [isStarting, setStarting] = useState(false);
  if (!mayTrain) {
    return (
      <Nothing title="Trainings are not yours to see">
        They need a key with the scope train:run.
      </Nothing>
    );
  }
  return (
    <div className={styles.page}>
      <div className={styles.bar}>
        <h1>Training</h1>
        <button type="button" className="primary" onClick={() => setStarting(true)}>
          Start a training
        </button>
      </div>
      {runs === undefined ? (
        error ? (
          <Failure error={error} onRetry={refetch} />
        ) : (
          <Loading what="trainings" />
        )
      ) : runs.length === 0 ? (
        <Nothing title="No trainings yet">
          A training learns from all labels that people gave, beside simulated frames, and ends as a
          candidate model.
        </Nothing>
      ) : (
        <RunTable runs={runs} />
      )}
      {isStarting && <StartDialog runs={runs ?? []} onClose={() => setStarting(false)} />}
    </div>
  );
}

function RunTable(props: { runs: readonly Run[] }) {
  return (
    <div className={styles.scroll}>
      <table className={styles.table}>
        <caption className="visually-hidden">Trainings, newest first</caption>
        <thead>
          <tr>
            <th scope="col">Run</th>
            <th scope="col">State</th>
            <th scope="col">Asked for</th>
            <th scope="col">Result</th>
            <th scope="col">Note</th>
          </tr>
        </thead>
        <tbody>
          {props.runs.map((run) => (
            <tr key={run.id}>
              <th scope="row">
                <Link to={`/training/${run.id}`}>{run.id}</Link>
              </th>
              <td>
                <span className={styles.state} data-state={run.state}>
                  {progressOf(run)}
                </span>
                {run.reason && <span className="muted"> {run.reason.title}</span>}
              </td>
              <td>
                {new Date(run.time).toLocaleString()}{" "}
                <span className="muted">
                  {run.trigger === "policy" ? "by the policy" : `by ${run.by}`}
                </span>
              </td>
              <td>
                {run.result ? (
                  <>
                    <Link to={`/models/${run.result.version}`}>{run.result.name}</Link> mAP{" "}
                    {run.result.mean_ap?.toFixed(3) ?? "–"}
                    {run.result.production && (
                      <span className="muted" title="On the same validation frames of the run">
                        {" "}
                        beside {run.result.production.mean_ap?.toFixed(3) ?? "–"}
                      </span>
                    )}
                  </>
                ) : (
                  "–"
                )}
              </td>
              <td className={styles.note}>{run.request.note}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
