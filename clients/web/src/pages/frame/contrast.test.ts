import { expect, test } from "vitest";
import { contrast, percentile, showable, smallestPositive, sortedLive } from "./contrast";

const NAN = Number.NaN;

test("masked pixels are in no percentile", () => {
  const sorted = sortedLive(new Float32Array([5, NAN, 1, 3, NAN, 2, 4]));
  expect([...sorted]).toEqual([1, 2, 3, 4, 5]);
  // numpy.percentile([1, 2, 3, 4, 5], [0, 10, 50, 99, 100])
  expect([0, 10, 50, 99, 100].map((p) => percentile(sorted, p))).toEqual([1, 1.4, 3, 4.96, 5]);
});

test("a large frame is sampled over all its columns", () => {
  const width = 2000;
  const values = new Float32Array(1000 * width).map((_, place) => place % width);
  const sorted = sortedLive(values);
  expect(sorted.length).toBeLessThan(300_000);
  expect(percentile(sorted, 50)).toBeCloseTo((width - 1) / 2, -1);
  expect(percentile(sorted, 1)).toBeCloseTo(width / 100, -1);
});

test("a logarithmic scale begins at the least count that is there", () => {
  const sorted = sortedLive(new Float32Array([0, 0, 0, 2, 8]));
  expect(smallestPositive(sorted)).toBe(2);
  expect(contrast(sorted, [0, 100], "log")).toEqual([2, 8]);
  expect(contrast(sorted, [0, 100], "linear")).toEqual([0, 8]);
  expect([...showable(new Float32Array([0, -3, 5, NAN]), "log", 2)]).toEqual([2, 2, 5, NAN]);
});

test("a flat frame, and one without live pixels, still have a contrast", () => {
  const flat = sortedLive(new Float32Array([7, 7]));
  expect(contrast(flat, [1, 99], "log")).toEqual([7, 70]);
  expect(contrast(flat, [1, 99], "linear")).toEqual([7, 8]);
  const dead = sortedLive(new Float32Array([NAN, NAN]));
  expect(contrast(dead, [1, 99], "log")).toEqual([1, 10]);
  expect(contrast(dead, [1, 99], "sqrt")).toEqual([0, 1]);
});
