/** The maps of models that can lie on a frame: which there are, and how they are named. */

import type { Annotation, Model } from "../../api/client";

const NONE = "none";

/** One map of one model; a gradient map is of an attribute, by a method. */
export type MapChoice =
  | { kind: "attribute" | "attention"; name: string }
  | { kind: "gradient"; name: string; method: string };

/** A choice as text of the address and of a menu. */
export function textOf(map: MapChoice | null): string {
  if (map === null) return NONE;
  return map.kind === "gradient" ? `gradient:${map.method}:${map.name}` : `${map.kind}:${map.name}`;
}

/** Read `textOf` back; what makes no sense is no choice. */
export function mapOf(text: string | null): MapChoice | null {
  const [kind, ...parts] = (text ?? NONE).split(":");
  if (kind === "gradient") {
    const [method, name] = parts;
    return method && name ? { kind, method, name } : null;
  }
  const name = parts.join(":");
  return (kind === "attribute" || kind === "attention") && name ? { kind, name } : null;
}

const FOLDERS = { attribute: "overlays", attention: "attention" } as const;

/** Where the gateway has it, below the frame. */
export function pathOf(map: MapChoice): string {
  return map.kind === "gradient"
    ? `gradients/${map.method}/${map.name}`
    : `${FOLDERS[map.kind]}/${map.name}`;
}

/** The attribute that a map is of. */
export function attributeOf(map: MapChoice | null): string | null {
  return map === null || map.kind === "attention" ? null : map.name;
}

const METHODS: Record<string, string> = { gradcam: "Grad-CAM", a_ch: "A_ch", a_px: "A_px" };

/** For a menu; `name` gives the names of attributes. */
export function titleOf(map: MapChoice, name: (attribute: string) => string): string {
  switch (map.kind) {
    case "attribute":
      return name(map.name);
    case "attention":
      return `attention: ${map.name}`;
    case "gradient":
      return `${METHODS[map.method] ?? map.method}: ${name(map.name)}`;
  }
}

/** All maps that were stored with an answer: tags first, then by probability, then attention. */
export function mapsOf(annotation: Annotation | undefined, model: Model | undefined): MapChoice[] {
  const attributes = [...(annotation?.attributes ?? [])].sort(
    (a, b) => Number(b.tag) - Number(a.tag) || b.probability - a.probability,
  );
  return [
    ...attributes.map(({ id }): MapChoice => ({ kind: "attribute", name: id })),
    ...(model?.attention_names ?? []).map((name): MapChoice => ({ kind: "attention", name })),
  ];
}

/** The gradient maps that a model can compute of an attribute. */
export function gradientsOf(model: Model | undefined, attribute: string | null): MapChoice[] {
  if (attribute === null) return [];
  const methods = model?.gradient_maps ?? [];
  return methods.map((method) => ({ kind: "gradient", method, name: attribute }));
}

/** The map after this one: each in turn, then none. */
export function mapAfter(map: MapChoice | null, maps: readonly MapChoice[]): MapChoice | null {
  const place = maps.findIndex((one) => textOf(one) === textOf(map));
  return maps[place + 1] ?? null;
}

/** The same map of another model, or what comes next to it there. */
export function mapBy(model: Model | undefined, map: MapChoice | null): MapChoice | null {
  switch (map?.kind) {
    case "attention":
      return model?.attention_names.includes(map.name) ? map : null;
    case "gradient":
      return model?.gradient_maps?.includes(map.method)
        ? map
        : { kind: "attribute", name: map.name };
    default:
      return map ?? null;
  }
}
