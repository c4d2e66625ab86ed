import { expect, test } from "vitest";
import { viewAfter, wholeOf } from "./view";

test("keys zoom in to single pixels and out to the whole, and never beyond", () => {
  let view = wholeOf(1000, 800);
  expect(viewAfter("-", view, 1000, 800)).toEqual(view);
  for (let times = 0; times < 40; times++) view = viewAfter("+", view, 1000, 800) ?? view;
  expect(view.part * 1000).toBeLessThan(1);
  expect(view.part).toBeGreaterThan(0);
  expect(viewAfter("0", view, 1000, 800)).toEqual(wholeOf(1000, 800));
});

test("arrows move by less where one has zoomed in, and stop at the edges", () => {
  const whole = wholeOf(1000, 800);
  const right = viewAfter("ArrowRight", whole, 1000, 800);
  const fine = viewAfter("ArrowRight", { ...whole, part: 0.1 }, 1000, 800);
  expect((right?.col ?? 0) - whole.col).toBeCloseTo(125);
  expect((fine?.col ?? 0) - whole.col).toBeCloseTo(12.5);
  expect(viewAfter("ArrowUp", { row: 1, col: 0, part: 1 }, 1000, 800)?.row).toBe(0);
  expect(viewAfter("x", whole, 1000, 800)).toBeNull();
});
