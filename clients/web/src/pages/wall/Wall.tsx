/** The live wall: the newest frames with their tags, as they arrive. */

import { useState } from "react";
import { useSearchParams } from "react-router";
import { useMay } from "../../api/session";
import { FrameGrid } from "../../frames/FrameGrid";
import { frameAt, lengthOf } from "../../frames/list";
import { Failure, Loading, Nothing } from "../../ui/Notice";
import { DropZone } from "./DropZone";
import { type ScanChoice, Scans } from "./Scans";
import { Timeline } from "./Timeline";
import { useWall, type WallFilter } from "./useWall";
import styles from "./Wall.module.css";

const FIELDS = ["beamline", "proposal", "scan"] as const;

/** Page at `/`; its filter is part of the address. */
export function Wall() {
  const [address, setAddress] = useSearchParams();
  const [chosenPause, setPause] = useState(false);
  const [atTop, setAtTop] = useState(true);
  const [visit, setVisit] = useState(0);
  const maySend = useMay("frames:write");
  const filter: WallFilter = {};
  for (const field of FIELDS) filter[field] = address.get(field) ?? undefined;
  // Nothing moves under the eyes of who has scrolled down.
  const paused = chosenPause || !atTop;
  const wall = useWall(filter, paused);

  function choose(field: (typeof FIELDS)[number], value: string) {
    setAddress(
      (before) => {
        if (value) before.set(field, value);
        else before.delete(field);
        return before;
      },
      { replace: true },
    );
  }

  function chooseScan(chosen: ScanChoice) {
    setAddress(
      (before) => {
        for (const field of FIELDS) {
          const value = chosen[field];
          if (value !== undefined) before.set(field, value);
        }
        return before;
      },
      { replace: true },
    );
  }

  function toNewest() {
    wall.position.current = { base: 0, top: 0 };
    setVisit(visit + 1);
    setAtTop(true);
  }

  const isEmpty = lengthOf(wall.list) === 0;
  const filtered = FIELDS.some((field) => filter[field]);
  return (
    <div className={styles.wall}>
      <div className={styles.bar}>
        <h1>Live</h1>
        {FIELDS.map((field) => (
          <label key={field} className={styles.field}>
            <span>{field}</span>
            <input
              key={filter[field]}
              defaultValue={filter[field] ?? ""}
              placeholder="all"
              onBlur={(event) => choose(field, event.target.value.trim())}
              onKeyDown={(event) => {
                if (event.key === "Enter") choose(field, event.currentTarget.value.trim());
              }}
            />
          </label>
        ))}
        <span className={styles.gap} />
        {wall.waiting > 0 && (
          <span className="muted" role="status">
            {wall.waiting} new
          </span>
        )}
        {!atTop && (
          <button type="button" onClick={toNewest}>
            To the newest
          </button>
        )}
        <button type="button" aria-pressed={chosenPause} onClick={() => setPause(!chosenPause)}>
          {chosenPause ? "Go on" : "Pause"}
        </button>
        {maySend && <DropZone onSent={wall.reload} />}
      </div>
      <div className={styles.frames}>
        {wall.error && isEmpty ? (
          <Failure error={wall.error} onRetry={wall.reload} />
        ) : wall.loading && isEmpty ? (
          <Loading what="frames" />
        ) : isEmpty ? (
          <NoFrames filtered={filtered} />
        ) : (
          <FrameGrid
            key={`${wall.address} ${visit}`}
            list={wall.list}
            onSee={wall.see}
            position={wall.position}
            onAtTop={setAtTop}
            search={address.toString()}
            foot={wall.error && <Failure error={wall.error} onRetry={wall.retry} />}
          >
            {filter.scan ? (
              <Timeline
                scan={filter.scan}
                proposal={filter.proposal}
                beamline={filter.beamline}
                newestFrame={frameAt(wall.list, 0)?.frame_id}
              />
            ) : (
              <Scans beamline={filter.beamline} proposal={filter.proposal} onChoose={chooseScan} />
            )}
          </FrameGrid>
        )}
      </div>
    </div>
  );
}

function NoFrames(props: { filtered: boolean }) {
  if (props.filtered) {
    return <Nothing title="No frames of these yet">They appear here as they arrive.</Nothing>;
  }
  return (
    <Nothing title="No frames yet">
      <p>
        Drop detector files here, or send them: <code>scatterlens annotate frame.cbf</code>,{" "}
        <code>scatterlens watch FOLDER</code>. They appear at once.
      </p>
    </Nothing>
  );
}
