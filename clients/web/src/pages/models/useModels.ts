/** Models as the gateway has them, up to date as they change. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, csrfHeaders, dataOf, refusalOf, type Schemas } from "../../api/client";
import { useEvents } from "../../api/events";

export type Model = Schemas["ModelInfo"];
export type Detail = NonNullable<ReturnType<typeof useModel>["data"]>;

/** Ask again whenever a model is registered, measured, promoted or taken back. */
export function useModelChanges() {
  const queries = useQueryClient();
  useEvents((event) => {
    if (event.kind === "model") void queries.invalidateQueries({ queryKey: ["models"] });
  });
}

/** All models that may be asked for, production first. */
export function useModels() {
  return useQuery({
    queryKey: ["models"],
    queryFn: () => dataOf(api.GET("/api/v1/models")),
  });
}

/** All that is known of one. */
export function useModel(version: string) {
  return useQuery({
    queryKey: ["models", version],
    queryFn: () => dataOf(api.GET("/api/v1/models/{version}", { params: { path: { version } } })),
  });
}

/** What it says beside production, on frames that both annotated. */
export function useComparison(version: string) {
  return useQuery({
    queryKey: ["models", version, "comparison"],
    queryFn: () =>
      dataOf(api.GET("/api/v1/models/{version}/comparison", { params: { path: { version } } })),
  });
}

/** A change of models: afterwards everything shown of them is asked for again. */
export function useChange<T>(change: (said: T) => Promise<unknown>, onDone?: () => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["models"] });
      onDone?.();
    },
  });
}

/** Send the zip file of a bundle. */
export async function sendBundle(
  file: File,
  otherVocabulary: boolean,
): Promise<{ version: string }> {
  const response = await fetch(`/api/v1/models?other_vocabulary=${otherVocabulary}`, {
    method: "POST",
    body: file,
    headers: { ...csrfHeaders(), "Content-Type": "application/zip" },
  });
  if (!response.ok) throw await refusalOf(response);
  return response.json();
}
