/** How the service does: queues, workers, disk, trainings; looked at again every few seconds. */

import type { Schemas } from "../../api/client";
import { Failure, Loading } from "../../ui/Notice";
import styles from "./Admin.module.css";
import { useOperations } from "./operations";
import { bytes, duration } from "./words";

/** A worker reports more often than that while it lives. */
const SILENT_SECONDS = 15;

type Operations = Schemas["Operations"];

export function Service() {
  const { data, error, isPending, refetch } = useOperations();
  if (isPending) return <Loading what="queues and workers" />;
  if (!data) return <Failure error={error ?? new Error("Nothing came.")} onRetry={refetch} />;
  return (
    <>
      {error && (
        <p className={styles.problem} role="alert">
          These figures are old: {error.message}
        </p>
      )}
      <Problems problems={data.problems} />
      <section className={styles.panel} aria-labelledby="queues">
        <h2 id="queues">Queues</h2>
        <Queues queues={data.queues} />
      </section>
      <section className={styles.panel} aria-labelledby="workers">
        <h2 id="workers">Workers</h2>
        <Workers workers={data.workers} />
      </section>
      <div className={styles.columns}>
        <DiskPanel disk={data.disk} />
        <Trainings trainings={data.trainings} canTrain={data.can_train} />
      </div>
    </>
  );
}

function Problems(props: { problems: string[] }) {
  if (props.problems.length === 0)
    return (
      <p className={styles.well}>
        <span aria-hidden="true">✓</span> Nothing is wrong.
      </p>
    );
  return (
    <ul className={styles.problems}>
      {props.problems.map((problem) => (
        <li key={problem} className={styles.problem}>
          {problem}
        </li>
      ))}
    </ul>
  );
}

function Queues(props: { queues: Operations["queues"] }) {
  return (
    <div className={styles.scroll}>
      <table className={styles.table}>
        <thead>
          <tr>
            <th rowSpan={2}>Queue</th>
            <th rowSpan={2} className={styles.figure}>
              Waiting
            </th>
            <th rowSpan={2} className={styles.figure}>
              In work
            </th>
            <th rowSpan={2} className={styles.figure}>
              Oldest waits
            </th>
            <th colSpan={3} className={styles.group}>
              Last minute
            </th>
            <th colSpan={3} className={styles.group}>
              Last hour
            </th>
          </tr>
          <tr>
            {["minute", "hour"].flatMap((span) =>
              ["done", "failed", "quarantined"].map((word) => (
                <th key={span + word} className={styles.figure}>
                  {word}
                </th>
              )),
            )}
          </tr>
        </thead>
        <tbody>
          {props.queues.map((queue) => (
            <tr key={queue.queue}>
              <th scope="row">
                <code>{queue.queue}</code>
              </th>
              <Figure value={queue.queued} />
              <Figure value={queue.leased} />
              <td className={styles.figure}>
                {queue.oldest_queued_seconds === null ? "–" : duration(queue.oldest_queued_seconds)}
              </td>
              <Ended of={queue.last_minute} />
              <Ended of={queue.last_hour} />
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Ended(props: { of: Schemas["Finished"] }) {
  const { done, failed, quarantined, more } = props.of;
  // What is counted stops at one number for all: the largest is where it stopped.
  const least = more ? Math.max(done, failed, quarantined) : undefined;
  return (
    <>
      <Figure value={done} more={done === least} />
      <Figure value={failed} more={failed === least} bad />
      <Figure value={quarantined} more={quarantined === least} bad />
    </>
  );
}

function Figure(props: { value: number; bad?: boolean; more?: boolean }) {
  const { value } = props;
  const tone = value === 0 ? "none" : props.bad ? "bad" : undefined;
  return (
    <td className={styles.figure} data-tone={tone}>
      {props.more && "≥ "}
      {value.toLocaleString()}
    </td>
  );
}

function Workers(props: { workers: Operations["workers"] }) {
  if (props.workers.length === 0)
    return (
      <p className="muted">
        No worker has reported within the last hour. Start one: <code>scatterlens worker</code>.
      </p>
    );
  return (
    <div className={styles.scroll}>
      <table className={styles.table}>
        <thead>
          <tr>
            <th>Worker</th>
            <th>Does</th>
            <th>Device</th>
            <th>Runs on</th>
            <th>Models</th>
            <th className={styles.figure}>Last seen</th>
          </tr>
        </thead>
        <tbody>
          {props.workers.map((worker) => (
            <tr key={worker.id}>
              <th scope="row">
                <code>{worker.id}</code>
              </th>
              <td>{worker.role === "train" ? "trains" : "annotates"}</td>
              <td>{worker.device}</td>
              <td>{worker.provider || "–"}</td>
              <td>
                {worker.models?.length ? <code>{worker.models.join(" ")}</code> : "–"}
                {Object.entries(worker.refused ?? {}).map(([version, reason]) => (
                  <p key={version} className={styles.bad}>
                    cannot load <code>{version}</code>: {reason}
                  </p>
                ))}
              </td>
              <td
                className={styles.figure}
                data-tone={worker.seen_seconds_ago > SILENT_SECONDS ? "bad" : undefined}
              >
                {duration(worker.seen_seconds_ago)} ago
                {worker.seen_seconds_ago > SILENT_SECONDS && ", silent"}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function DiskPanel(props: { disk: Operations["disk"] }) {
  const { total_bytes, free_bytes, needed_bytes } = props.disk;
  const full = free_bytes < needed_bytes;
  return (
    <section className={styles.panel} aria-labelledby="disk">
      <h2 id="disk">Disk of frames</h2>
      <meter
        className={styles.meter}
        aria-labelledby="disk"
        min={0}
        max={total_bytes}
        value={total_bytes - free_bytes}
        high={total_bytes - needed_bytes}
        optimum={0}
      />
      <p data-tone={full ? "bad" : undefined} className={styles.toned}>
        {bytes(free_bytes)} of {bytes(total_bytes)} are free
        {full ? "; no frames are taken." : "."}
      </p>
      <p className="muted">Below {bytes(needed_bytes)} free no frames are taken.</p>
    </section>
  );
}

function Trainings(props: { trainings: Operations["trainings"]; canTrain: boolean }) {
  return (
    <section className={styles.panel} aria-labelledby="trainings">
      <h2 id="trainings">Training</h2>
      {props.trainings.length === 0 && (
        <p className="muted">
          {props.canTrain ? (
            "None runs or waits."
          ) : (
            <>
              Nobody can train. Start a trainer: <code>scatterlens trainer</code>.
            </>
          )}
        </p>
      )}
      <ul className={styles.plain}>
        {props.trainings.map((run) => (
          <li key={run.run_id}>
            <code>{run.run_id}</code>{" "}
            {run.state === "queued" ? "waits for a trainer" : <Progress of={run.progress} />}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Progress(props: { of?: Schemas["TrainingProgress"] | null }) {
  const progress = props.of;
  if (!progress) return <>begins</>;
  return (
    <>
      {progress.stage}, {Math.round(progress.share * 100)} %
      {progress.eta_seconds != null && <>, {duration(progress.eta_seconds)} left</>}
    </>
  );
}
