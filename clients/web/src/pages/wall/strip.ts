/** Where the points of a timeline lie on its strip. */

export interface Point {
  x: number;
  probability: number;
  frame_id: string;
}

export interface Extent {
  low: number;
  high: number;
}

/** Smallest and largest x of all lines; a single x gets room on both sides. */
export function extentOf(lines: readonly (readonly Point[])[]): Extent {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const line of lines) {
    for (const { x } of line) {
      low = Math.min(low, x);
      high = Math.max(high, x);
    }
  }
  if (low > high) return { low: 0, high: 1 };
  return low === high ? { low: low - 0.5, high: high + 0.5 } : { low, high };
}

/** Path of a line in a box of `width` x `height` pixels; probability 1 is at the top. */
export function pathOf(
  line: readonly Point[],
  extent: Extent,
  width: number,
  height: number,
): string {
  const perX = width / (extent.high - extent.low);
  return line
    .map(({ x, probability }, position) => {
      const column = ((x - extent.low) * perX).toFixed(1);
      return `${position ? "L" : "M"}${column} ${((1 - probability) * height).toFixed(1)}`;
    })
    .join("");
}

/** The point whose x is nearest; lines are sorted by x. */
export function nearest(line: readonly Point[], x: number): Point | undefined {
  let low = 0;
  let high = line.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((line[middle]?.x ?? 0) < x) low = middle + 1;
    else high = middle;
  }
  const after = line[low];
  const before = line[low - 1];
  if (before === undefined || after === undefined) return after;
  return x - before.x < after.x - x ? before : after;
}

/** Round values for an axis, about `count` of them. */
export function ticksOf({ low, high }: Extent, count: number): number[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? rough;
  const ticks: number[] = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) {
    ticks.push(Number(tick.toPrecision(12)));
  }
  return ticks;
}
