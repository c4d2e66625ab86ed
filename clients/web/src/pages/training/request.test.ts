import { describe, expect, it } from "vitest";
import { DEFAULTS, requestOf } from "./request";

describe("requestOf", () => {
  it("leaves to the gateway what is not filled in", () => {
    expect(requestOf(DEFAULTS)).toEqual({
      recipe: null,
      name: null,
      start: "auto",
      passes: null,
      pretrain_passes: 0,
      simulated: 2000,
      weight: 20,
      seed: 1,
      evaluations: 6,
      overrides: {},
      attributes: null,
      gradients: false,
      note: null,
    });
  });

  it("gives overrides the kinds that the recipe has", () => {
    const overrides = "batch=8\n learning_rate = 0.001 \n\nuse_evidence=true\nspecialised=none";
    expect(requestOf({ ...DEFAULTS, overrides }).overrides).toEqual({
      batch: 8,
      learning_rate: 0.001,
      use_evidence: true,
      specialised: "none",
    });
  });

  it("names the override that it cannot read", () => {
    for (const overrides of ["batch", "batch=", "=8", "a=b=c"])
      expect(() => requestOf({ ...DEFAULTS, overrides })).toThrow(overrides);
  });
});
