/** Names of attributes, by their ids. */

import { useQuery } from "@tanstack/react-query";
import { api, dataOf, type Schemas } from "./client";

export type Attribute = Schemas["AttributeInfo"];

/** All attributes of the production model, in the order of its vocabulary. */
export function useAttributes(): Attribute[] {
  const { data } = useQuery({
    queryKey: ["attributes"],
    queryFn: () => dataOf(api.GET("/api/v1/attributes")),
    staleTime: 300_000,
  });
  return data ?? NONE;
}

const NONE: Attribute[] = [];

/** Display name of an attribute; its id until names are known. */
export function useAttributeName(): (id: string) => string {
  const attributes = useAttributes();
  return (id) => attributes.find((attribute) => attribute.id === id)?.name ?? id;
}
