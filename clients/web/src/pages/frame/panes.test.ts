import { expect, test } from "vitest";
import { mapAfter, mapsOf } from "./panes";
import type { Model } from "./useFrame";

test("maps come tags first, and one key goes through all of them and back to none", () => {
  const annotation = {
    frame_id: "f",
    state: "done" as const,
    model: { name: "m", version: "1" },
    attributes: [
      { id: "halo", probability: 0.6, threshold: 0.7, tag: false },
      { id: "ring", probability: 0.5, threshold: 0.3, tag: true },
    ],
    geometry: null,
    mask_fraction: 0,
    novelty: 0.5,
    reason: null,
  };
  const model: Model = {
    name: "m",
    version: "1",
    method: "aam",
    vocabulary: "aam20",
    input_size: 128,
    active: true,
    production: true,
    attention_names: ["spatial"],
    state: "registered",
    gate: null,
  };
  const maps = mapsOf(annotation, model);
  expect(maps.map(({ name }) => name)).toEqual(["ring", "halo", "spatial"]);
  const seen: (string | null)[] = [];
  let map = mapAfter(null, maps);
  for (let times = 0; times < 5; times++) {
    seen.push(map?.name ?? null);
    map = mapAfter(map, maps);
  }
  expect(seen).toEqual(["ring", "halo", "spatial", null, "ring"]);
});
