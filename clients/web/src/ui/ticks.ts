/** Round numbers for an axis. */

/** About `count` evenly spaced round numbers from at or below `low` to at or above `high`. */
export function ticksOf(low: number, high: number, count: number): number[] {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999) ?? 10) * power;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(Math.ceil(high / step - 1e-9), first + 1);
  // Products, not sums: 0.1 added three times is not 0.3.
  return Array.from({ length: last - first + 1 }, (_, at) =>
    Number(((first + at) * step).toPrecision(12)),
  );
}

/** The round numbers of `ticksOf` that lie from `low` to `high`. */
export function ticksWithin(low: number, high: number, count: number): number[] {
  const slack = 1e-9 * (high - low);
  return ticksOf(low, high, count).filter((tick) => tick >= low - slack && tick <= high + slack);
}
