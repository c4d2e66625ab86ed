/** Training runs as the gateway has them, up to date while they go on. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, dataOf } from "../../api/client";
import { useEvents } from "../../api/events";
import { curvesOf } from "./progress";
import type { TrainingRequest } from "./request";

export type Run = NonNullable<ReturnType<typeof useTraining>["data"]>;

/** Ask again whenever a run moves on: every few seconds at most. */
export function useTrainingChanges() {
  const queries = useQueryClient();
  useEvents((event) => {
    if (event.kind === "training") void queries.invalidateQueries({ queryKey: ["trainings"] });
  });
}

/** The newest hundred, newest first. */
export function useTrainings() {
  return useQuery({
    queryKey: ["trainings"],
    queryFn: async () => (await dataOf(api.GET("/api/v1/training"))).items,
  });
}

/** One run. */
export function useTraining(id: string) {
  return useQuery({
    queryKey: ["trainings", id],
    queryFn: () =>
      dataOf(api.GET("/api/v1/training/{run_id}", { params: { path: { run_id: id } } })),
  });
}

/** Its curves so far. */
export function useCurves(id: string) {
  return useQuery({
    queryKey: ["trainings", id, "curves"],
    queryFn: async () => {
      const params = { path: { run_id: id } };
      const asked = { params, parseAs: "text" as const };
      const { data } = await api.GET("/api/v1/training/{run_id}/metrics", asked);
      return curvesOf(data ?? "");
    },
  });
}

/** Ask for a run; `key` makes the same request sent twice one run. */
export function useStart(onStarted: (id: string) => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ body, key }: { body: TrainingRequest; key: string }) =>
      dataOf(
        api.POST("/api/v1/training", { params: { header: { "idempotency-key": key } }, body }),
      ),
    onSuccess: async ({ id }) => {
      await queries.invalidateQueries({ queryKey: ["trainings"] });
      onStarted(id);
    },
  });
}

/** End a run. */
export function useCancel(id: string, onDone: () => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () =>
      api.POST("/api/v1/training/{run_id}/cancel", { params: { path: { run_id: id } } }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["trainings"] });
      onDone();
    },
  });
}
