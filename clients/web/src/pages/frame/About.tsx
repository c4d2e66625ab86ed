/** Where a frame comes from: submission, geometry, motors, models, the file's header. */

import type { Annotation, Schemas } from "../../api/client";
import styles from "./About.module.css";

type Rows = [name: string, value: string | number | null | undefined][];

/** Tables; what is not known has no row. */
export function About(props: {
  frame: Schemas["FrameDetail"];
  annotations: readonly Annotation[];
}) {
  const { frame, annotations } = props;
  const { geometry, shape } = frame;
  return (
    <div className={styles.about}>
      <Table
        title="Frame"
        rows={[
          ["file", frame.filename],
          ["format", frame.format],
          ["size", `${(frame.size_bytes / 1e6).toFixed(2)} MB`],
          ["pixels", shape && `${shape[0]} rows × ${shape[1]} columns`],
          ["sent", new Date(frame.submitted).toLocaleString()],
          ["sample", frame.sample],
          ["scan", frame.scan],
          ["frame number", frame.frame_number],
          ["technique", frame.technique],
          ["beamline", frame.beamline],
          ["proposal", frame.proposal],
          ["index in the file", frame.index],
          ["sha256", frame.sha256],
        ]}
      />
      {geometry ? (
        <Table
          title="Geometry"
          rows={[
            ["distance", `${geometry.distance_m.toPrecision(6)} m`],
            ["wavelength", `${(geometry.wavelength_m * 1e10).toPrecision(6)} Å`],
            [
              "pixel (height × width)",
              `${geometry.pixel_size_m.map((one) => (one * 1e6).toPrecision(5)).join(" × ")} µm`,
            ],
            ["beam at (row, col)", geometry.beam_center_yx.map((one) => one.toFixed(2)).join(", ")],
          ]}
        />
      ) : (
        <p className="muted">
          The geometry is not known: send it with the frame (<code>geometry</code> or{" "}
          <code>poni</code>) to see q and rings.
        </p>
      )}
      <Table title="Motors" rows={Object.entries(frame.motors ?? {})} />
      <Table
        title="Told beside"
        rows={Object.entries(frame.extra ?? {}).map(([name, value]) => [name, wordsOf(value)])}
      />
      <Table
        title="Models"
        rows={annotations.flatMap(({ model, state, novelty, mask_fraction, timings_ms }) => {
          const rows: Rows = [[model.name, `${model.version}: ${state}`]];
          if (novelty !== null && novelty !== undefined) rows.push(["· novelty", percent(novelty)]);
          if (mask_fraction !== null && mask_fraction !== undefined) {
            rows.push(["· masked", percent(mask_fraction)]);
          }
          for (const [step, time] of Object.entries(timings_ms ?? {})) {
            rows.push([`· ${step}`, `${time.toFixed(1)} ms`]);
          }
          return rows;
        })}
      />
      <Table title="Header of the file" rows={Object.entries(frame.header ?? {})} />
    </div>
  );
}

function wordsOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function Table(props: { title: string; rows: Rows }) {
  const rows = props.rows.filter(([, value]) => value !== null && value !== undefined);
  if (rows.length === 0) return null;
  return (
    <table className={styles.table}>
      <caption>{props.title}</caption>
      <tbody>
        {rows.map(([name, value], place) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other name, and do not move
          <tr key={place}>
            <th scope="row">{name}</th>
            <td>{String(value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
