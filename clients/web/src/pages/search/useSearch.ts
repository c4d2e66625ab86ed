/** How many frames a search finds, and the frames like one frame. */

import { useQuery } from "@tanstack/react-query";
import { type Asked, writeAsked } from "../../api/asked";
import { api, dataOf } from "../../api/client";

/** How many frames there are, or at least are. */
export function useCount(asked: Asked, enabled: boolean) {
  const { order: _order, of: _of, ...query } = asked;
  return useQuery({
    queryKey: ["search-count", writeAsked(query)],
    queryFn: ({ signal }) => dataOf(api.GET("/api/v1/frames.count", { params: { query }, signal })),
    enabled,
    retry: false,
  });
}

/** The frames most like one. */
export function useSimilar(frameId: string | null) {
  return useQuery({
    queryKey: ["similar", frameId],
    queryFn: () =>
      dataOf(
        api.GET("/api/v1/frames/{frame_id}/similar", {
          params: { path: { frame_id: frameId ?? "" }, query: { limit: 100 } },
        }),
      ),
    enabled: frameId !== null,
    retry: false,
  });
}
