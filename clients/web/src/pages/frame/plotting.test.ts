import { expect, test } from "vitest";
import { linePath, scaleOf, ticksOf } from "./plotting";

test("a line breaks where nothing is live, and where a logarithm has no value", () => {
  const same = (value: number) => value;
  expect(linePath([0, 1, 2, 3], [1, null, 3, 4], same, same, false)).toBe(
    "M0.0 1.0M2.0 3.0L3.0 4.0",
  );
  expect(linePath([0, 1, 2], [1, 0, 3], same, same, true)).toBe("M0.0 1.0M2.0 3.0");
});

test("scales are inverted by what they say", () => {
  const scale = scaleOf([1, 1000], [100, 10], true);
  expect(scale(1)).toBeCloseTo(100);
  expect(scale(1000)).toBeCloseTo(10);
  expect(scale.invert(scale(37))).toBeCloseTo(37);
});

test("ticks are round and lie inside", () => {
  expect(ticksOf([0.3, 9.7], false, 5)).toEqual([2, 4, 6, 8]);
  expect(ticksOf([0.5, 20000], true, 4)).toEqual([1, 100, 10000]);
  for (const tick of ticksOf([3, 8], true, 4)) expect(tick).toBeGreaterThanOrEqual(3);
});
