/** Frames of the wall: the newest at once, older ones on demand, live while not paused. */

import { useCallback, useEffect, useRef, useState } from "react";
import { type LiveEvent, useConnection, useEvents } from "../../api/events";
import { type FrameList, useFrameList } from "../../frames/useFrameList";
import { TOP } from "../../frames/useRows";

export interface WallFilter {
  beamline?: string;
  proposal?: string;
  scan?: string;
}

/** However fast frames arrive, the wall changes this often, so that each can be seen. */
const REFRESH_MS = 700;

export interface Wall extends FrameList {
  /** Frames that came since it was paused. */
  waiting: number;
}

/** Follow the frames that a filter finds; `paused` keeps what is seen as it is. */
export function useWall(filter: WallFilter, paused: boolean): Wall {
  const frames = useFrameList(filter);
  const { refresh: load, position } = frames;
  const connection = useConnection();
  const [waiting, setWaiting] = useState(0);
  const busy = useRef(false);
  const again = useRef(false);
  const isPaused = useRef(paused);
  useEffect(() => {
    isPaused.current = paused;
  }, [paused]);

  const refresh = useCallback(async () => {
    if (busy.current) {
      again.current = true;
      return;
    }
    busy.current = true;
    await load();
    setTimeout(() => {
      busy.current = false;
      if (!again.current) return;
      again.current = false;
      // It was asked for before the pause, and nothing moves within one.
      if (!isPaused.current) void refresh();
    }, REFRESH_MS);
  }, [load]);

  useEffect(() => {
    // What came while there was no connection is not told later. Who comes back to where one had
    // scrolled finds it as it was.
    if (connection !== "live" || paused || position.current.top >= TOP) return;
    setWaiting(0);
    void refresh();
  }, [connection, paused, refresh, position]);

  useEvents((event: LiveEvent) => {
    if (event.frame_id === null || event.kind === "labelled") return;
    if (!paused) void refresh();
    else if (event.kind === "submitted") setWaiting((count) => count + 1);
  });

  return { ...frames, waiting };
}
