import { expect, test } from "vitest";
import { directionOf, niceSpacing, qOfRadius, radiusOfQ, ringsOn } from "./scattering";

const GEOMETRY = {
  distance_m: 0.5,
  wavelength_m: 1.5e-10,
  pixel_size_m: [172e-6, 172e-6] as [number, number],
  beam_center_yx: [100, 200] as [number, number],
};

test("a pixel below the beam has chi 90 degrees, and Bragg's law holds", () => {
  const below = directionOf(GEOMETRY, 150, 200);
  expect(below.chi).toBeCloseTo(90);
  expect(below.radius).toBeCloseTo(50);
  const theta = Math.atan((50 * 172e-6) / 0.5) / 2;
  expect(below.twoTheta).toBeCloseTo((2 * theta * 180) / Math.PI);
  expect(below.q).toBeCloseTo((4 * Math.PI * Math.sin(theta)) / 0.15, 6);
  expect(2 * below.d * Math.sin(theta)).toBeCloseTo(0.15, 6);
});

test("q and radius are inverse, and end where a flat detector does", () => {
  for (const radius of [1, 77, 2500]) {
    expect(radiusOfQ(GEOMETRY, qOfRadius(GEOMETRY, radius))).toBeCloseTo(radius, 6);
  }
  expect(radiusOfQ(GEOMETRY, 1000)).toBe(Number.POSITIVE_INFINITY);
});

test("rings lie on the frame, at multiples or where a calibrant has them", () => {
  const spacing = niceSpacing(GEOMETRY, 300, 400, "nm");
  const even = ringsOn(GEOMETRY, 300, 400, "even", spacing);
  expect(even.length).toBeGreaterThanOrEqual(3);
  expect(even.length).toBeLessThanOrEqual(6);
  expect(even[1]).toBeCloseTo(2 * spacing);
  const silver = ringsOn(GEOMETRY, 300, 400, "AgBH", spacing);
  expect(silver[0]).toBeCloseTo((2 * Math.PI) / 5.838);
  expect(ringsOn(GEOMETRY, 300, 400, "none", spacing)).toEqual([]);
});

test("a face-centred lattice has no mixed indices", () => {
  const wide = { ...GEOMETRY, distance_m: 0.05 };
  const [first, second] = ringsOn(wide, 1000, 1000, "CeO2", 1);
  expect((second ?? 0) / (first ?? 1)).toBeCloseTo(Math.sqrt(4 / 3), 6);
});
