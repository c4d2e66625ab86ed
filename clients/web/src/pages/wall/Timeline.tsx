/** How the answers go along a scan, kept up to date as its frames are answered. */

import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { useAttributeName, useAttributes } from "../../api/attributes";
import { api, dataOf } from "../../api/client";
import { useEvents } from "../../api/events";
import { Failure } from "../../ui/Notice";
import { Strip } from "./Strip";
import styles from "./Timeline.module.css";

const REFRESH_MS = 1500;
const MOST = 6;
const FIRST = ["ring", "halo", "anisotropic"];

/** Strip of a scan; attributes and what they are drawn against can be chosen. */
export function Timeline(props: {
  scan: string;
  proposal?: string;
  beamline?: string;
  newestFrame?: string;
}) {
  const { scan, proposal, beamline } = props;
  const queries = useQueryClient();
  const known = useAttributes();
  const name = useAttributeName();
  const [wanted, setWanted] = useState<readonly string[]>(FIRST);
  const [against, setAgainst] = useState("frame_number");
  const chosen = wanted.filter((id) => known.some((attribute) => attribute.id === id));

  const { data, error, refetch } = useQuery({
    queryKey: ["timeline", scan, proposal, beamline, chosen, against],
    queryFn: () =>
      dataOf(
        api.GET("/api/v1/scans/timeline", {
          params: { query: { scan, proposal, beamline, attributes: chosen.join(","), against } },
        }),
      ),
    enabled: chosen.length > 0,
    placeholderData: keepPreviousData,
  });
  const motors = useMotors(props.newestFrame);

  const waiting = useRef(false);
  useEvents((event) => {
    if (event.kind !== "done" || waiting.current) return;
    waiting.current = true;
    setTimeout(() => {
      waiting.current = false;
      void queries.invalidateQueries({ queryKey: ["timeline", scan] });
    }, REFRESH_MS);
  });

  return (
    <section className={styles.timeline} aria-label={`Timeline of scan ${scan}`}>
      <div className={styles.bar}>
        <h2>Scan {scan}</h2>
        <label>
          <span className="visually-hidden">Add an attribute</span>
          <select
            value=""
            onChange={(event) => setWanted([...chosen, event.target.value].slice(-MOST))}
          >
            <option value="">Add an attribute …</option>
            {known
              .filter((attribute) => !chosen.includes(attribute.id))
              .map((attribute) => (
                <option key={attribute.id} value={attribute.id}>
                  {attribute.name}
                </option>
              ))}
          </select>
        </label>
        {chosen.map((id) => (
          <button
            key={id}
            type="button"
            className={styles.chosen}
            aria-label={`Leave out ${name(id)}`}
            onClick={() => setWanted(chosen.filter((other) => other !== id))}
          >
            {name(id)} ×
          </button>
        ))}
        <label>
          against{" "}
          <select value={against} onChange={(event) => setAgainst(event.target.value)}>
            {["frame_number", ...motors].map((motor) => (
              <option key={motor} value={motor}>
                {motor === "frame_number" ? "frame number" : motor}
              </option>
            ))}
          </select>
        </label>
        {data && data.every > 1 && (
          <span className="muted">
            every {data.every} of {data.frames} frames
          </span>
        )}
      </div>
      {error ? (
        <Failure error={error} onRetry={refetch} />
      ) : data && data.x.length > 0 ? (
        <Strip
          data={{
            axis: data.against === "frame_number" ? "frame number" : data.against,
            x: data.x,
            frameIds: data.frame_ids,
            lines: chosen.map((id) => ({
              name: name(id),
              probabilities: data.probabilities[id] ?? [],
            })),
          }}
        />
      ) : (
        <p className="muted">
          {chosen.length === 0
            ? "Choose an attribute."
            : `No answered frame of this scan has a ${against.replace("_", " ")} yet.`}
        </p>
      )}
    </section>
  );
}

/** Names of the motors that a frame was sent with. */
function useMotors(frameId: string | undefined): string[] {
  const { data } = useQuery({
    queryKey: ["frame", frameId],
    queryFn: () =>
      dataOf(
        api.GET("/api/v1/frames/{frame_id}", { params: { path: { frame_id: frameId ?? "" } } }),
      ),
    enabled: frameId !== undefined,
  });
  return Object.keys(data?.motors ?? {});
}
