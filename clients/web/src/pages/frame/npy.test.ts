import { expect, test } from "vitest";
import { parseNpy } from "./npy";

/** What `np.save` writes, padded to 64 bytes. */
function npy(header: string, values: number[]): ArrayBuffer {
  const padded = `${header.padEnd(128 - 10 - 1)}\n`;
  const bytes = new ArrayBuffer(128 + 4 * values.length);
  const view = new DataView(bytes);
  for (const [place, letter] of [..."\x93NUMPY\x01\x00"].entries()) {
    view.setUint8(place, letter.charCodeAt(0));
  }
  view.setUint16(8, padded.length, true);
  for (const [place, letter] of [...padded].entries())
    view.setUint8(10 + place, letter.charCodeAt(0));
  for (const [place, value] of values.entries()) view.setFloat32(128 + 4 * place, value, true);
  return bytes;
}

test("values keep their places, and NaN stays NaN", () => {
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  const grid = parseNpy(npy(header, [1, 2, 3, Number.NaN, 5, 1e6]));
  expect([grid.height, grid.width]).toEqual([2, 3]);
  expect([...grid.values]).toEqual([1, 2, 3, Number.NaN, 5, 1e6]);
});

test("another type or order is refused, not shown wrongly", () => {
  const other = "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1), }";
  const turned = "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }";
  expect(() => parseNpy(npy(other, [0, 0]))).toThrow("another kind");
  expect(() => parseNpy(npy(turned, [0]))).toThrow("another kind");
  expect(() => parseNpy(new ArrayBuffer(64))).toThrow("no .npy");
});
