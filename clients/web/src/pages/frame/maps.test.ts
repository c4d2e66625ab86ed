import { expect, test } from "vitest";
import type { Model } from "../../api/client";
import { gradientsOf, mapAfter, mapBy, mapOf, mapsOf, pathOf, textOf } from "./maps";

const MODEL: Model = {
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
  const maps = mapsOf(annotation, MODEL);
  expect(maps.map(({ name }) => name)).toEqual(["ring", "halo", "spatial"]);
  const seen: (string | null)[] = [];
  let map = mapAfter(null, maps);
  for (let times = 0; times < 5; times++) {
    seen.push(map?.name ?? null);
    map = mapAfter(map, maps);
  }
  expect(seen).toEqual(["ring", "halo", "spatial", null, "ring"]);
});

test("a choice is the same after it was an address", () => {
  const choices = [
    ...mapsOf(undefined, { ...MODEL, attention_names: ["block3.visual"] }),
    ...gradientsOf({ ...MODEL, gradient_maps: ["a_ch"] }, "ring"),
    null,
  ];
  expect(choices).toHaveLength(3);
  expect(choices.map((one) => mapOf(textOf(one)))).toEqual(choices);
  expect(choices[1] && pathOf(choices[1])).toBe("gradients/a_ch/ring");
  for (const senseless of ["gradient:a_ch", "halo", "moon:halo", ":", ""]) {
    expect(mapOf(senseless)).toBeNull();
  }
});

test("another model shows the same map, else what it has of the same attribute", () => {
  const gradient = mapOf("gradient:a_ch:ring");
  expect(mapBy({ ...MODEL, gradient_maps: ["a_ch"] }, gradient)).toEqual(gradient);
  expect(mapBy(MODEL, gradient)).toEqual(mapOf("attribute:ring"));
  expect(mapBy(MODEL, mapOf("attention:spatial"))).toEqual(mapOf("attention:spatial"));
  expect(mapBy(MODEL, mapOf("attention:other"))).toBeNull();
});
