/** Where the points of a timeline lie on its strip. */

export interface Extent {
  low: number;
  high: number;
}

/** Smallest and largest of sorted values; a single one gets room on both sides. */
export function extentOf(x: readonly number[]): Extent {
  const low = x[0];
  const high = x.at(-1);
  if (low === undefined || high === undefined) return { low: 0, high: 1 };
  return low === high ? { low: low - 0.5, high: high + 0.5 } : { low, high };
}

/** Path of probabilities in a box of `width` x `height` pixels; probability 1 is at the top. */
export function pathOf(
  x: readonly number[],
  probabilities: readonly number[],
  width: number,
  height: number,
): string {
  const { low, high } = extentOf(x);
  return x
    .map((value, place) => {
      const column = ((value - low) / (high - low)) * width;
      const row = (1 - (probabilities[place] ?? 0)) * height;
      return `${place ? "L" : "M"}${column.toFixed(1)} ${row.toFixed(1)}`;
    })
    .join("");
}

/** Place of the value that is nearest, among sorted ones; -1 where there is none. */
export function nearest(x: readonly number[], wanted: number): number {
  let low = 0;
  let high = x.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((x[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  const after = x[low];
  const before = x[low - 1];
  if (after === undefined) return -1;
  return before !== undefined && wanted - before < after - wanted ? low - 1 : low;
}
