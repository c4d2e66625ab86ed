/** What a search finds: page after page, a count, and the frames like one frame. */

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { type Asked, writeAsked } from "../../api/asked";
import { api, dataOf } from "../../api/client";

const PAGE = 200;

/** All frames found so far; a page may be empty though more follow, so the next is asked for. */
export function useFound(asked: Asked, enabled: boolean) {
  const pages = useInfiniteQuery({
    queryKey: ["search", writeAsked(asked)],
    queryFn: ({ pageParam, signal }) => {
      const query = { ...asked, limit: PAGE, cursor: pageParam };
      return dataOf(api.GET("/api/v1/frames", { params: { query }, signal }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    enabled,
    retry: false,
  });
  const { data, hasNextPage, isFetching, fetchNextPage, error } = pages;
  const frames = useMemo(() => {
    const found = (data?.pages ?? []).flatMap((page) => page.items);
    // A frame that is sent again while one scrolls comes to the front, but was seen already.
    return [...new Map(found.map((frame) => [frame.frame_id, frame])).values()];
  }, [data]);
  const isShort = (data?.pages.at(-1)?.items.length ?? PAGE) < PAGE / 4;
  useEffect(() => {
    if (isShort && hasNextPage && !isFetching && !error) void fetchNextPage();
  }, [isShort, hasNextPage, isFetching, error, fetchNextPage]);
  return { ...pages, frames };
}

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
