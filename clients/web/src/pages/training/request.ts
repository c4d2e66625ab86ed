/** The description of a training, from the fields of its form. */

import type { Schemas } from "../../api/client";

export type TrainingRequest = Schemas["TrainingRequest"];

/** As typed; empty = the gateway's default. */
export interface Fields {
  recipe: string;
  name: string;
  start: string;
  passes: string;
  pretrain_passes: string;
  simulated: string;
  weight: string;
  seed: string;
  evaluations: string;
  overrides: string;
  attributes: readonly string[];
  gradients: boolean;
  note: string;
}

export const DEFAULTS: Fields = {
  recipe: "",
  name: "",
  start: "auto",
  passes: "",
  pretrain_passes: "0",
  simulated: "2000",
  weight: "20",
  seed: "1",
  evaluations: "6",
  overrides: "",
  attributes: [],
  gradients: false,
  note: "",
};

/** What `POST /training` takes; throws a `RangeError` that names the line it cannot read. */
export function requestOf(fields: Fields): TrainingRequest {
  return {
    recipe: fields.recipe.trim() || null,
    name: fields.name.trim() || null,
    start: fields.start.trim() || DEFAULTS.start,
    passes: fields.passes === "" ? null : Number(fields.passes),
    pretrain_passes: Number(fields.pretrain_passes || DEFAULTS.pretrain_passes),
    simulated: Number(fields.simulated || DEFAULTS.simulated),
    weight: Number(fields.weight || DEFAULTS.weight),
    seed: Number(fields.seed || DEFAULTS.seed),
    evaluations: Number(fields.evaluations || DEFAULTS.evaluations),
    overrides: overridesOf(fields.overrides),
    attributes: fields.attributes.length > 0 ? [...fields.attributes] : null,
    gradients: fields.gradients,
    note: fields.note.trim() || null,
  };
}

function overridesOf(text: string): Record<string, string | number | boolean> {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return Object.fromEntries(
    lines.map((line) => {
      const [name = "", value, ...rest] = line.split("=").map((part) => part.trim());
      if (name === "" || !value || rest.length > 0)
        throw new RangeError(`“${line.trim()}” is no override: write name=value, as batch=8.`);
      return [name, readValue(value)];
    }),
  );
}

function readValue(text: string): string | number | boolean {
  if (text === "true" || text === "false") return text === "true";
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
}
