/** The frames of a review queue, in the order in which they were found when the page was opened. */

import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useRef } from "react";
import { api, dataOf, type Schemas } from "../../api/client";
import { useEvents } from "../../api/events";

export type Queue = "uncertain" | "disagreement" | "model_vs_human" | "novel";
export type Item = Schemas["ReviewItem"];

const PAGE = 50;
/** Labels come many at once: progress is asked for once for them. */
const GATHER_MS = 800;

/** What is judged stays in the list, so that one can go back to it. */
export function useQueue(by: Queue, attribute: string | undefined) {
  const query = useInfiniteQuery({
    queryKey: ["review", by, attribute],
    queryFn: ({ pageParam }) =>
      dataOf(
        api.GET("/api/v1/review", {
          params: { query: { by, attribute, limit: PAGE, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  const items = useMemo(() => {
    const all = query.data?.pages.flatMap((page) => page.items) ?? [];
    // Partly judged, a frame comes again for its next doubt.
    return [...new Map(all.map((item) => [item.frame.frame_id, item])).values()];
  }, [query.data]);
  return { ...query, items };
}

/** How many frames of a queue are judged. */
export function useProgress(by: Queue, attribute: string | undefined) {
  const queries = useQueryClient();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEvents((event) => {
    if (event.kind !== "labelled") return;
    clearTimeout(timer.current);
    timer.current = setTimeout(
      () => queries.invalidateQueries({ queryKey: ["review-progress"] }),
      GATHER_MS,
    );
  });
  const { data } = useQuery({
    queryKey: ["review-progress", by, attribute],
    queryFn: () =>
      dataOf(api.GET("/api/v1/review/progress", { params: { query: { by, attribute } } })),
  });
  return data;
}
