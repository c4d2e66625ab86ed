import { describe, expect, it } from "vitest";
import { readAsked, writeAsked } from "../../api/asked";
import { complete, completions, wordBefore } from "./completing";

describe("the address", () => {
  it("is the search, and comes back from it", () => {
    const address = "query=ring+%3E+0.8&sample=silver&novel=0.9&labelled=false&order=oldest";
    expect(writeAsked(readAsked(new URLSearchParams(address)))).toBe(address);
  });

  it("leaves out what makes no sense", () => {
    const address = new URLSearchParams("novel=3&labelled=perhaps&order=best&scan=+&other=1");
    expect(readAsked(address)).toEqual({});
  });

  it("orders by frame number only within a scan", () => {
    const order = (text: string) => readAsked(new URLSearchParams(text)).order;
    expect(order("order=frame_number")).toBeUndefined();
    expect(order("order=frame_number&scan=7")).toBe("frame_number");
    expect(order("order=probability")).toBeUndefined();
    expect(order("order=probability&of=ring")).toBe("probability");
  });
});

describe("completing", () => {
  const attributes = [
    { id: "symmetry_ring", name: "Symmetry ring" },
    { id: "ring", name: "Ring" },
    { id: "halo", name: "Halo" },
  ];

  it("knows the word at the cursor, and that `and` is none", () => {
    expect(wordBefore("ring > 0.8 and ha", 17)).toEqual({ from: 15, word: "ha" });
    expect(wordBefore("ring and", 8)).toBeNull();
    expect(wordBefore("ring > 0.8", 10)).toBeNull();
  });

  it("offers what begins with the word before what holds it", () => {
    expect(completions("ri", attributes).map((one) => one.id)).toEqual(["ring", "symmetry_ring"]);
    expect(completions("ring", attributes).map((one) => one.id)).toEqual(["symmetry_ring"]);
  });

  it("replaces the word and leaves the rest", () => {
    expect(complete("not ha and ring", 6, "halo")).toEqual({
      text: "not halo and ring",
      cursor: 9,
    });
  });
});
