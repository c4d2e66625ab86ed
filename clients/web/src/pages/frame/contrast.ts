/** Which counts get which colours: percentiles over live pixels, and what a scale can show. */

import { type Domain, ScaleType } from "@h5web/lib";

export const SCALES = {
  log: ScaleType.Log,
  sqrt: ScaleType.Sqrt,
  linear: ScaleType.Linear,
  symlog: ScaleType.SymLog,
} as const;
export type Scale = keyof typeof SCALES;

const SAMPLE = 250_000;

/** Live values in order; of large frames evenly picked ones, which tell percentiles as well. */
export function sortedLive(values: Float32Array): Float32Array {
  // A step that shares no factor with the width of common detectors visits all columns.
  let step = Math.max(1, Math.floor(values.length / SAMPLE));
  if (step > 1 && step % 2 === 0) step += 1;
  const live = new Float32Array(Math.ceil(values.length / step));
  let count = 0;
  for (let place = 0; place < values.length; place += step) {
    const value = values[place] ?? Number.NaN;
    if (!Number.isNaN(value)) live[count++] = value;
  }
  return live.subarray(0, count).sort();
}

/** Percentile (0 to 100) of values in order, between neighbours as NumPy does; 0 without values. */
export function percentile(sorted: Float32Array, percent: number): number {
  if (sorted.length === 0) return 0;
  const place = ((sorted.length - 1) * percent) / 100;
  const below = sorted[Math.floor(place)] ?? 0;
  const above = sorted[Math.ceil(place)] ?? 0;
  return below + (above - below) * (place - Math.floor(place));
}

/** Smallest positive value: what a logarithmic scale shows darkest; 1 without one. */
export function smallestPositive(sorted: Float32Array): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) > 0) high = middle;
    else low = middle + 1;
  }
  return sorted[low] ?? 1;
}

/** Counts of the first and the last colour; never empty, and positive on a logarithmic scale. */
export function contrast(
  sorted: Float32Array,
  [lowest, highest]: readonly [number, number],
  scale: Scale,
): Domain {
  let low = percentile(sorted, lowest);
  let high = percentile(sorted, highest);
  if (scale === "log") low = Math.max(low, smallestPositive(sorted));
  if (scale === "sqrt") low = Math.max(low, 0);
  if (high <= low) high = scale === "log" ? low * 10 : low + 1;
  return [low, high];
}

/** Values that the scale can show: without counts is darkest, not masked; masked stays NaN. */
export function showable(values: Float32Array, scale: Scale, lowest: number): Float32Array {
  if (scale === "linear" || scale === "symlog") return values;
  const least = scale === "log" ? lowest : 0;
  return values.map((value) => Math.max(value, least));
}
