import { describe, expect, it } from "vitest";
import { keyIn, keyInFragment, looksLikeKey } from "./key";

const KEY = "sl_0123456789ab_Zm9vYmFyYmF6cXV4-_Zm9vYmFyYmF6cXV4";

describe("keyIn", () => {
  it("takes the key out of a whole link, with the line's end that a terminal adds", () => {
    expect(keyIn(` http://127.0.0.1:8000/#key=${KEY}\n`)).toBe(KEY);
    expect(keyIn(`https://beamline.example/wall?scan=7#theme=dark&key=${KEY}`)).toBe(KEY);
  });

  it("leaves a bare key, and what is none, as it is", () => {
    expect(keyIn(`${KEY}\n`)).toBe(KEY);
    expect(keyIn("http://127.0.0.1:8000/#frames")).toBe("http://127.0.0.1:8000/#frames");
    expect(keyIn("")).toBe("");
  });
});

describe("keyInFragment", () => {
  it("is null where the fragment is something else, or the key is empty", () => {
    expect(keyInFragment("")).toBeNull();
    expect(keyInFragment("#main")).toBeNull();
    expect(keyInFragment("#key=")).toBeNull();
  });
});

describe("looksLikeKey", () => {
  it("tells a key from what people paste by mistake", () => {
    expect(looksLikeKey(KEY)).toBe(true);
    for (const wrong of ["", "sl_", "sl_0123456789ab", KEY.replace("sl_", ""), `${KEY} x`])
      expect(looksLikeKey(wrong)).toBe(false);
  });
});
