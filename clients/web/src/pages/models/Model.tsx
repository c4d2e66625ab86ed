/** One model: what it can, what the gate found, how it differs from production; promoting it. */

import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import { api, dataOf } from "../../api/client";
import { LineChart } from "../../ui/LineChart";
import { Failure, Loading } from "../../ui/Notice";
import { Actions } from "./Actions";
import { ComparisonTable } from "./ComparisonTable";
import { type Figures, figuresOf, shown, withInterval } from "./figures";
import { GateTable } from "./GateTable";
import styles from "./Models.module.css";
import { State } from "./State";
import { type Detail, useModel, useModelChanges, useModels } from "./useModels";

/** Page at `/models/:version`. */
export default function ModelPage() {
  useModelChanges();
  const { version = "" } = useParams();
  const { data: model, error, refetch } = useModel(version);
  const { data: models } = useModels();
  if (error) return <Failure error={error} onRetry={refetch} />;
  if (model === undefined) return <Loading what="the model" />;
  const production = models?.find((one) => one.production)?.version;
  const figures = figuresOf(model.metrics);
  return (
    <div className={styles.page}>
      <div className={styles.bar}>
        <h1>
          <Link to="/models">Models</Link> / {model.name}{" "}
          <code className="muted">{model.version}</code>
        </h1>
        <State state={model.state} />
        <Actions model={model} production={production} />
      </div>
      <p className="muted">
        {model.method}, {model.vocabulary}; registered {time(model.registered)} by{" "}
        {model.registered_by}
        {model.run_id && (
          <>
            {" "}
            from <Link to={`/training/${model.run_id}`}>training {model.run_id}</Link>
          </>
        )}
      </p>
      <Summary figures={figures} />
      <section aria-label="Gate">
        <h2>Gate</h2>
        <GateTable report={model.gate} production={production} />
      </section>
      {production !== undefined && production !== version && (
        <section aria-label="Beside production">
          <h2>Beside production, on frames of this service</h2>
          <ComparisonTable version={version} />
        </section>
      )}
      {figures.curves.length > 0 && (
        <section aria-label="Curve">
          <h2>Training</h2>
          <LineChart
            title="mAP while it was trained"
            series={figures.curves.slice(0, 6)}
            xName="frames shown"
            yName="mAP"
            yRange={[0, 1]}
          />
        </section>
      )}
      {figures.attributes.length > 0 && <Attributes model={model} figures={figures} />}
      {model.report && <Report version={version} />}
      {model.card && (
        <section aria-label="Card">
          <h2>Card</h2>
          <pre className={styles.card}>{model.card}</pre>
        </section>
      )}
      <Past model={model} />
    </div>
  );
}

const time = (iso: string) => new Date(iso).toLocaleString();

function Summary(props: { figures: Figures }) {
  const { figures } = props;
  if (figures.meanAp === undefined && figures.real === undefined) {
    return <p className="muted">Its bundle carries no figures.</p>;
  }
  return (
    <dl className={styles.figures}>
      <div>
        <dt>mAP{figures.frames && `, ${figures.frames.toLocaleString()} simulated frames`}</dt>
        <dd>{shown(figures.meanAp)}</dd>
      </div>
      <div>
        <dt>mAP of the hard ones</dt>
        <dd>{shown(figures.hard)}</dd>
      </div>
      <div>
        <dt>mAP{figures.realFrames && `, ${figures.realFrames} real frames`}</dt>
        <dd>{withInterval(figures.real, figures.interval)}</dd>
      </div>
      <div>
        <dt>Pointing hits, by chance {shown(figures.random, 2)}</dt>
        <dd>{shown(figures.pointing, 2)}</dd>
      </div>
    </dl>
  );
}

function Attributes(props: { model: Detail; figures: Figures }) {
  const { version } = props.model;
  const { data: attributes } = useQuery({
    queryKey: ["attributes", version],
    queryFn: () => dataOf(api.GET("/api/v1/attributes", { params: { query: { model: version } } })),
  });
  return (
    <section aria-label="Attributes">
      <h2>By attribute{props.figures.benchmark && `, ${props.figures.benchmark}`}</h2>
      <div className={styles.scroll}>
        <table className={styles.table}>
          <thead>
            <tr>
              <th scope="col">Attribute</th>
              <th scope="col">AP</th>
              <th scope="col" title="Expected calibration error">
                ECE
              </th>
              <th scope="col">pointing</th>
            </tr>
          </thead>
          <tbody>
            {props.figures.attributes.map((one, at) => (
              <tr key={attributes?.[at]?.id ?? at}>
                <th scope="row">{attributes?.[at]?.name ?? at + 1}</th>
                <td>{shown(one.ap)}</td>
                <td>{shown(one.ece)}</td>
                <td>{shown(one.hits, 2)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Report(props: { version: string }) {
  const address = `/api/v1/models/${props.version}/report`;
  return (
    <section aria-label="Report">
      <h2>
        Report{" "}
        <a href={address} target="_blank" rel="noreferrer">
          open it alone
        </a>
      </h2>
      <iframe className={styles.report} src={address} sandbox="" title="Report of the evaluation" />
    </section>
  );
}

function Past(props: { model: Detail }) {
  const { history, reannotations } = props.model;
  if (history.length === 0 && reannotations.length === 0) return null;
  return (
    <section aria-label="History">
      <h2>History</h2>
      <ul className={styles.past}>
        {[...history].reverse().map((entry) => (
          <li key={entry.time}>
            <time dateTime={entry.time}>{time(entry.time)}</time> {entry.by}{" "}
            {entry.kind === "promote" ? "promoted" : "went back to"} <code>{entry.to_version}</code>
            , away from <code>{entry.from_version}</code> (gate: {entry.gate}): “{entry.reason}”
          </li>
        ))}
        {reannotations.map((one) => (
          <li key={one.id}>
            Old frames: {one.queued.toLocaleString()} queued,{" "}
            {one.finished ? `done ${time(one.finished)}` : "going on"}
          </li>
        ))}
      </ul>
    </section>
  );
}
