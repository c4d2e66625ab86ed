/** What the page asks of one frame. */

import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useSearchParams } from "react-router";
import { type Asked, readAsked, writeAsked } from "../../api/asked";
import { api, dataOf, type Model, type Schemas } from "../../api/client";
import { useEvents } from "../../api/events";
import { loadFrames } from "../../frames/loading";
import type { Layer } from "./FrameMesh";
import { type MapChoice, pathOf } from "./maps";
import { fetchGrid, type Grid } from "./npy";

/** Longest side of a stored preview, as the worker makes it. */
const PREVIEW_SIDE = 1024;
/** Full frames are large: those that are no longer shown are soon let go. */
const KEEP_MS = 60_000;

/** The same data: `openapi-fetch` forgets how long tuples are. */
function withTuples<T>(data: unknown): T {
  return data as T;
}

/** All that is known of the frame. */
export function useDetail(frameId: string) {
  const queries = useQueryClient();
  useEvents((event) => {
    if (event.kind !== "described" || event.frame_id !== frameId) return;
    for (const queryKey of [["frame", frameId], ["annotations", frameId], ["profile"]]) {
      void queries.invalidateQueries({ queryKey });
    }
  });
  return useQuery({
    queryKey: ["frame", frameId],
    queryFn: async () =>
      withTuples<Schemas["FrameDetail"]>(
        await dataOf(
          api.GET("/api/v1/frames/{frame_id}", { params: { path: { frame_id: frameId } } }),
        ),
      ),
    // Its size and geometry are known once it was looked at.
    refetchInterval: ({ state }) =>
      state.data?.state === "queued" || state.data?.state === "leased" ? 1000 : false,
  });
}

/** What every model says about it; asked again until all have decided. */
export function useAnnotations(frameId: string) {
  return useQuery({
    queryKey: ["annotations", frameId],
    queryFn: async ({ signal }) =>
      withTuples<Schemas["Annotations"]>(
        await dataOf(
          api.GET("/api/v1/frames/{frame_id}/annotations", {
            params: { path: { frame_id: frameId } },
            signal,
          }),
        ),
      ),
    refetchInterval: ({ state }) =>
      state.data?.annotations.some(({ state: one }) => one === "queued" || one === "leased")
        ? 1000
        : false,
  });
}

/** The models that may be asked for. */
export function useModels(): Model[] {
  const { data } = useQuery({
    queryKey: ["models"],
    queryFn: () => dataOf(api.GET("/api/v1/models")),
    staleTime: 60_000,
  });
  return data ?? [];
}

function useGrid(path: string, enabled: boolean) {
  return useQuery({
    queryKey: ["array", path],
    queryFn: ({ signal }) => fetchGrid(path, signal),
    enabled,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: KEEP_MS,
    structuralSharing: false,
  });
}

/** The stored preview at once, and all pixels as soon as they are there. */
export function usePixels(frameId: string, shape: readonly number[] | null | undefined) {
  const full = useGrid(`/api/v1/frames/${frameId}/pixels.npy?wait=20`, true);
  const preview = useGrid(`/api/v1/frames/${frameId}/preview.npy`, !full.data && Boolean(shape));
  let layer: Layer | null = null;
  if (full.data) {
    layer = { ...full.data, across: full.data.width, down: full.data.height, isFull: true };
  } else if (preview.data && shape) {
    const block = Math.ceil(Math.max(...shape) / PREVIEW_SIDE);
    const { height, width } = preview.data;
    layer = { ...preview.data, across: width * block, down: height * block, isFull: false };
  }
  return { layer, error: full.error, retry: full.refetch };
}

/** A map's cells, and the range of values that gets colours. */
export interface Evidence extends Grid {
  low: number;
  high: number;
}

/**
 * A map, where one is chosen. Colours of evidence reach to the bundle's 99th percentile; those of
 * attention and gradients to the map's own extremes. A gradient map is computed when first asked for.
 */
export function useMap(frameId: string, model: Model | undefined, choice: MapChoice | null) {
  const isChosen = choice !== null && model !== undefined;
  const wait = choice?.kind === "gradient" ? "&wait=20" : "";
  const path = choice ? `${pathOf(choice)}.npy?space=cells&model=${model?.version}${wait}` : "";
  const { data, error, refetch } = useGrid(`/api/v1/frames/${frameId}/${path}`, isChosen);
  const evidence = data && isChosen ? { ...data, ...rangeOf(data, model, choice) } : null;
  return { evidence, error, isAwaited: isChosen && !data && !error, retry: refetch };
}

/** Values that get the first and the last colour. */
function rangeOf({ values }: Grid, model: Model, choice: MapChoice): { low: number; high: number } {
  if (choice.kind === "attribute") {
    return { low: 0, high: Math.max(model.map_scale?.[choice.name] ?? 1, 1e-6) };
  }
  const high = values.reduce((most, value) => Math.max(most, value), -Infinity);
  // Of gradients only what speaks for the attribute is kept: zero means nothing, and is clear.
  if (choice.kind === "gradient") return { low: 0, high: high > 0 ? high : 1 };
  const low = values.reduce((least, value) => Math.min(least, value), Infinity);
  return { low, high: high > low ? high : low + 1 };
}

/** Mean counts by ring. */
export function useRadial(frameId: string, enabled: boolean) {
  return useProfile<Schemas["RadialProfile"]>(["radial", frameId], enabled, () =>
    api.GET("/api/v1/frames/{frame_id}/profiles/radial", {
      params: { path: { frame_id: frameId }, query: { wait: 20 } },
    }),
  );
}

/** Mean counts by direction, between two limits: nm^-1, or pixels where there is no geometry. */
export function useAzimuthal(frameId: string, enabled: boolean, range: [number, number] | null) {
  const [low, high] = range ?? [];
  return useProfile<Schemas["AzimuthalProfile"]>(["azimuthal", frameId, low, high], enabled, () =>
    api.GET("/api/v1/frames/{frame_id}/profiles/azimuthal", {
      params: { path: { frame_id: frameId }, query: { wait: 20, low, high } },
    }),
  );
}

function useProfile<T>(
  of: (string | number | undefined)[],
  enabled: boolean,
  ask: () => Promise<{ data?: unknown; response: Response }>,
) {
  return useQuery({
    queryKey: ["profile", ...of],
    queryFn: async () => {
      const { data, response } = await ask();
      return response.status === 200 ? withTuples<T>(data) : null;
    },
    enabled,
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
    // `null` is a worker that has yet to sum the pixels.
    refetchInterval: ({ state }) => (state.data === null ? 500 : false),
  });
}

/** So many frames on either side are known before one steps there. */
const AHEAD = 20;

type Way = "before" | "after";

const besideKey = (frameId: string, way: Way, list: Asked) => ["beside", frameId, way, list];

type ScanOfFrame = Pick<Schemas["FrameDetail"], "scan" | "proposal" | "beamline">;

/** A scan belongs to its proposal and its beamline. */
function scanOf({ scan, proposal, beamline }: ScanOfFrame): Asked {
  return {
    scan: scan ?? undefined,
    proposal: proposal ?? undefined,
    beamline: beamline ?? undefined,
  };
}

/** The frames before and after this one in the list that the address tells, else in its scan. */
export function useNeighbours(frameId: string, scan: ScanOfFrame) {
  const [address] = useSearchParams();
  const asked = readAsked(address);
  const list = writeAsked(asked) === "" && scan.scan ? scanOf(scan) : asked;
  const before = useBeside(frameId, "before", list);
  const after = useBeside(frameId, "after", list);
  // In a list with the newest first, what follows in time stands before.
  return asked.order ? { previous: before, next: after } : { previous: after, next: before };
}

function useBeside(frameId: string, way: Way, list: Asked): string | null | undefined {
  const queries = useQueryClient();
  const { data } = useQuery({
    queryKey: besideKey(frameId, way, list),
    queryFn: async ({ signal }) => {
      const answer = await loadFrames({ ...list, [way]: frameId }, 1, AHEAD, signal);
      const ids = [frameId, ...answer.frames.map(({ frame_id }) => frame_id)];
      // Who steps there need not ask, nor who steps back.
      const back: Way = way === "before" ? "after" : "before";
      for (const [place, id] of ids.entries()) {
        const [last, next] = [ids[place - 1], ids[place + 1]];
        if (last) queries.setQueryData(besideKey(id, back, list), last);
        if (next && place > 0) queries.setQueryData(besideKey(id, way, list), next);
      }
      return ids[1] ?? null;
    },
    staleTime: 10_000,
  });
  return data;
}
