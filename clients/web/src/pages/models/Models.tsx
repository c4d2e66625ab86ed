/** All models: what they are to the service, their figures, taking one in, going back. */

import { useRef, useState } from "react";
import { Link, useNavigate } from "react-router";
import { api } from "../../api/client";
import { useMay } from "../../api/session";
import { ActionDialog } from "../../ui/ActionDialog";
import { Failure, Loading } from "../../ui/Notice";
import { figuresOf, shown, withInterval } from "./figures";
import styles from "./Models.module.css";
import { Gate, State } from "./State";
import { type Model, sendBundle, useChange, useModelChanges, useModels } from "./useModels";

/** Page at `/models`. */
export default function Models() {
  useModelChanges();
  const { data: models, error, refetch } = useModels();
  const mayChange = useMay("models:write");
  const [dialog, setDialog] = useState<"rollback" | "upload" | null>(null);
  if (models === undefined) {
    return error ? <Failure error={error} onRetry={refetch} /> : <Loading what="models" />;
  }
  const production = models.find((model) => model.production);
  return (
    <div className={styles.page}>
      <div className={styles.bar}>
        <h1>Models</h1>
        {mayChange && (
          <>
            <button type="button" onClick={() => setDialog("upload")}>
              Register a bundle
            </button>
            <button type="button" className="danger" onClick={() => setDialog("rollback")}>
              Roll back
            </button>
          </>
        )}
      </div>
      <div className={styles.scroll}>
        <table className={styles.table}>
          <caption className="visually-hidden">Models, production first</caption>
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col">State</th>
              <th scope="col">Gate</th>
              <th scope="col" title="Mean average precision on simulated test frames">
                mAP
              </th>
              <th scope="col" title="On its hard frames">
                hard
              </th>
              <th scope="col" title="On real test frames, with its 95 % interval">
                real frames
              </th>
              <th scope="col" title="Share of evidence maxima that lie on the evidence">
                pointing
              </th>
              <th scope="col">Method</th>
            </tr>
          </thead>
          <tbody>
            {models.map((model) => (
              <Row key={model.version} model={model} />
            ))}
          </tbody>
        </table>
      </div>
      {dialog === "rollback" && production && (
        <RollBack leaving={production} onClose={() => setDialog(null)} />
      )}
      {dialog === "upload" && <Register onClose={() => setDialog(null)} />}
    </div>
  );
}

function Row(props: { model: Model }) {
  const { model } = props;
  const figures = figuresOf(model.metrics ?? {});
  return (
    <tr data-version={model.version}>
      <th scope="row">
        <Link to={`/models/${model.version}`}>{model.name}</Link>{" "}
        <code className="muted">{model.version}</code>
      </th>
      <td>
        <State state={model.state} />
      </td>
      <td>{model.production ? "–" : <Gate verdict={model.gate ?? null} />}</td>
      <td>{shown(figures.meanAp)}</td>
      <td>{shown(figures.hard)}</td>
      <td>{withInterval(figures.real, figures.interval)}</td>
      <td>
        {shown(figures.pointing, 2)}
        {figures.random !== undefined && (
          <span className="muted"> by chance {shown(figures.random, 2)}</span>
        )}
      </td>
      <td>
        {model.method} <span className="muted">{model.vocabulary}</span>
      </td>
    </tr>
  );
}

function RollBack(props: { leaving: Model; onClose: () => void }) {
  const { leaving } = props;
  const change = useChange(
    (reason: string) =>
      api.POST("/api/v1/models/rollback", { body: { reason, leaving: leaving.version } }),
    props.onClose,
  );
  return (
    <ActionDialog
      title="Go back to the model before"
      action="Roll back"
      isDanger
      reason="Why does production go back?"
      busy={change.isPending}
      error={change.error}
      onDo={(reason) => change.mutate(reason)}
      onClose={props.onClose}
    >
      <p>
        {leaving.name} <code>{leaving.version}</code> stops being production: the newest promotion
        that stands is undone, and frames that wait are answered by the version before. Nothing is
        removed.
      </p>
    </ActionDialog>
  );
}

function Register(props: { onClose: () => void }) {
  const [other, setOther] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const navigate = useNavigate();
  const change = useChange(async (file: File) => {
    const { version } = await sendBundle(file, other);
    navigate(`/models/${version}`);
  });
  return (
    <ActionDialog
      title="Register a bundle"
      action={change.isPending ? "Sending …" : "Register"}
      busy={change.isPending}
      error={change.error}
      onDo={() => {
        const file = picker.current?.files?.[0];
        if (file) change.mutate(file);
      }}
      onClose={props.onClose}
    >
      <p>A zip file of a bundle's folder. It is verified and kept; nothing else changes.</p>
      <label>
        <span>Zip file</span>
        <input ref={picker} type="file" accept=".zip,application/zip" required />
      </label>
      <label>
        <input
          type="checkbox"
          checked={other}
          onChange={(event) => setOther(event.target.checked)}
        />{" "}
        although it has other attributes than production
      </label>
    </ActionDialog>
  );
}
