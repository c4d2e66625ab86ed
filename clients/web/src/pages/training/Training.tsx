/** One training: where it stands, its curves, what came of it. */

import { useState } from "react";
import { Link, useParams } from "react-router";
import { ActionDialog } from "../../ui/ActionDialog";
import { LineChart } from "../../ui/LineChart";
import { Failure, Loading } from "../../ui/Notice";
import { isOpen, progressOf } from "./progress";
import styles from "./Training.module.css";
import { type Run, useCancel, useCurves, useTraining, useTrainingChanges } from "./useTrainings";

/** Page at `/training/:runId`. */
export default function TrainingPage() {
  useTrainingChanges();
  const { runId = "" } = useParams();
  const { data: run, error, refetch } = useTraining(runId);
  const [isCancelling, setCancelling] = useState(false);
  if (error) return <Failure error={error} onRetry={refetch} />;
  if (run === undefined) return <Loading what="the training" />;
  return (
    <div className={styles.page}>
      <div className={styles.bar}>
        <h1>
          <Link to="/training">Training</Link> / {run.id}
        </h1>
        {isOpen(run) && (
          <button type="button" className="danger" onClick={() => setCancelling(true)}>
            Cancel
          </button>
        )}
      </div>
      <p className="muted">
        Asked for {new Date(run.time).toLocaleString()}{" "}
        {run.trigger === "policy" ? "by the policy" : `by ${run.by}`}
        {run.finished && `; ended ${new Date(run.finished).toLocaleString()}`}
        {run.request.note && `; “${run.request.note}”`}
      </p>
      <Standing run={run} />
      <Result run={run} />
      <Curves run={run} />
      <section aria-label="Request">
        <h2>What was asked for</h2>
        <table className={styles.table}>
          <tbody>
            {Object.entries(run.request)
              .filter(([, value]) => value !== null && JSON.stringify(value) !== "{}")
              .map(([field, value]) => (
                <tr key={field}>
                  <th scope="row">{field}</th>
                  <td>{typeof value === "object" ? JSON.stringify(value) : String(value)}</td>
                </tr>
              ))}
          </tbody>
        </table>
      </section>
      {isCancelling && <Cancel run={run} onClose={() => setCancelling(false)} />}
    </div>
  );
}

function Standing(props: { run: Run }) {
  const { run } = props;
  const share = run.state === "leased" ? run.progress?.share : undefined;
  return (
    <div className={styles.standing} role="status">
      <span className={styles.state} data-state={run.state}>
        {progressOf(run)}
      </span>
      {share !== undefined && <progress value={share} max={1} aria-label="Of this stage" />}
    </div>
  );
}

function Result(props: { run: Run }) {
  const { reason, result } = props.run;
  if (reason) {
    return (
      <section className={styles.reason} aria-label="Why it ended">
        <h2>{reason.title}</h2>
        <p>{reason.detail}</p>
        <p className="muted">{reason.remedy}</p>
      </section>
    );
  }
  if (!result) return null;
  const kept = [...(result.kept_calibration ?? []), ...(result.uncalibrated ?? [])];
  return (
    <section aria-label="Result">
      <h2>What came of it</h2>
      <p>
        <Link to={`/models/${result.version}`}>
          {result.name} {result.version}
        </Link>
        , mAP {result.mean_ap?.toFixed(3) ?? "–"} on {framesOf(result)} of its own
        {result.production &&
          `, where ${result.production.model} reaches ${result.production.mean_ap?.toFixed(3) ?? "–"}`}
      </p>
      {kept.length > 0 && <p className="muted">Too few labels to calibrate: {kept.join(", ")}</p>}
    </section>
  );
}

function framesOf(result: { validation_frames?: number }): string {
  const count = result.validation_frames ?? 0;
  return count > 0 ? `the ${count.toLocaleString()} validation frames` : "validation frames";
}

function Curves(props: { run: Run }) {
  const { data, error, refetch } = useCurves(props.run.id);
  if (error) return <Failure error={error} onRetry={refetch} />;
  if (data === undefined) return <Loading what="the curve" />;
  if (data.loss.points.length === 0) {
    return isOpen(props.run) ? <p className="muted">The curve begins with the training.</p> : null;
  }
  return (
    <section className={styles.curves} aria-label="Curves">
      <LineChart title="Loss" series={[data.loss]} xName="frames shown" yName="loss" />
      {data.meanAp.points.length > 0 && (
        <LineChart
          title="mAP on validation"
          series={[data.meanAp]}
          xName="frames shown"
          yName="mAP"
          yRange={[0, 1]}
        />
      )}
    </section>
  );
}

function Cancel(props: { run: Run; onClose: () => void }) {
  const cancel = useCancel(props.run.id, props.onClose);
  return (
    <ActionDialog
      title="Cancel the training"
      action="Cancel it"
      isDanger
      busy={cancel.isPending}
      error={cancel.error}
      onDo={() => cancel.mutate()}
      onClose={props.onClose}
    >
      <p>It ends without a model. What it learned stays in its folder.</p>
    </ActionDialog>
  );
}
