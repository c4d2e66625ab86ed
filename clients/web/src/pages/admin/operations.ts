/** How the service does, looked at again every few seconds by whichever part is open. */

import { useQuery } from "@tanstack/react-query";
import { api, dataOf } from "../../api/client";

const LOOK_AGAIN_MS = 3000;

export const useOperations = () =>
  useQuery({
    queryKey: ["operations"],
    queryFn: ({ signal }) => dataOf(api.GET("/api/v1/operations", { signal })),
    refetchInterval: LOOK_AGAIN_MS,
  });
