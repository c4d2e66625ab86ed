/** Frames of the wall: the newest at once, older ones on demand, live while not paused. */

import { useCallback, useEffect, useReducer, useRef, useState } from "react";
import { api, dataOf } from "../../api/client";
import { type LiveEvent, useEvents } from "../../api/events";
import { type Frame, type Listed, pageWithFrames, withNewest, withOlder } from "./newest";

export interface WallFilter {
  beamline?: string;
  proposal?: string;
  scan?: string;
}

/** However fast frames arrive, the wall changes this often, so that each can be seen. */
const REFRESH_MS = 700;
const PAGE = 60;
const EMPTY: Listed = { frames: [], cursor: null };

type Change = { kind: "reset" | "newest" | "older"; page: Listed };

function change(listed: Listed, { kind, page }: Change): Listed {
  if (kind === "reset") return page;
  return kind === "newest" ? withNewest(listed, page) : withOlder(listed, page);
}

async function loadPage(filter: WallFilter, cursor?: string): Promise<Listed> {
  const query = { ...filter, limit: PAGE, cursor };
  const page = await dataOf(api.GET("/api/v1/frames", { params: { query } }));
  return { frames: page.items, cursor: page.next_cursor };
}

export interface Wall {
  frames: readonly Frame[];
  loading: boolean;
  error: Error | null;
  hasMore: boolean;
  loadOlder: () => void;
  /** Frames that came since it was paused. */
  waiting: number;
  reload: () => void;
}

/** Follow the frames that a filter finds; `paused` keeps what is seen as it is. */
export function useWall(filter: WallFilter, paused: boolean): Wall {
  const { beamline, proposal, scan } = filter;
  const [listed, dispatch] = useReducer(change, EMPTY);
  const [loading, setLoading] = useState(true);
  const [error, setError] = useState<Error | null>(null);
  const [waiting, setWaiting] = useState(0);
  const busy = useRef(false);
  const again = useRef(false);
  const generation = useRef(0);

  const load = useCallback(
    async (kind: Change["kind"], cursor?: string) => {
      const mine = generation.current;
      try {
        const load = (from?: string) => loadPage({ beamline, proposal, scan }, from);
        const page = await pageWithFrames(load, cursor);
        if (mine !== generation.current) return; // another filter was chosen meanwhile
        dispatch({ kind, page });
        setError(null);
      } catch (failure) {
        if (mine === generation.current) setError(failure as Error);
      } finally {
        if (mine === generation.current) setLoading(false);
      }
    },
    [beamline, proposal, scan],
  );

  const reload = useCallback(() => {
    generation.current += 1;
    setLoading(true);
    setWaiting(0);
    void load("reset");
  }, [load]);
  useEffect(reload, [reload]);

  const refresh = useCallback(async () => {
    if (busy.current) {
      again.current = true;
      return;
    }
    busy.current = true;
    await load("newest");
    setTimeout(() => {
      busy.current = false;
      if (!again.current) return;
      again.current = false;
      void refresh();
    }, REFRESH_MS);
  }, [load]);

  useEffect(() => {
    if (paused) return;
    setWaiting(0);
    void refresh();
  }, [paused, refresh]);

  useEvents((event: LiveEvent) => {
    if (event.frame_id === null || event.kind === "labelled") return;
    if (!paused) void refresh();
    else if (event.kind === "submitted") setWaiting((count) => count + 1);
  });

  const older = useRef(false);
  const loadOlder = useCallback(async () => {
    if (older.current || listed.cursor === null) return;
    older.current = true;
    await load("older", listed.cursor);
    older.current = false;
  }, [load, listed.cursor]);

  return {
    frames: listed.frames,
    loading,
    error,
    hasMore: listed.cursor !== null,
    loadOlder,
    waiting,
    reload,
  };
}
