/** Scales, ticks and lines of small plots. */

import { ticksWithin } from "../../ui/ticks";

interface PlotScale {
  (value: number): number;
  domain: [number, number];
  invert: (pixel: number) => number;
}

/** From values to pixels; logarithmic only over positive values. */
export function scaleOf(
  domain: [number, number],
  range: [number, number],
  logarithmic: boolean,
): PlotScale {
  const to = logarithmic ? Math.log10 : (value: number) => value;
  const back = logarithmic ? (value: number) => 10 ** value : (value: number) => value;
  const [low, high] = [to(domain[0]), to(domain[1])];
  const slope = (range[1] - range[0]) / (high - low || 1);
  const scale = (value: number) => range[0] + (to(value) - low) * slope;
  return Object.assign(scale, {
    domain,
    invert: (pixel: number) => back(low + (pixel - range[0]) / slope),
  });
}

/** Round numbers within a domain, about as many as asked. */
export function ticksOf(
  [low, high]: [number, number],
  logarithmic: boolean,
  count: number,
): number[] {
  if (logarithmic) {
    const first = Math.ceil(Math.log10(low) - 1e-9);
    const last = Math.floor(Math.log10(high) + 1e-9);
    if (last > first) {
      const stride = Math.max(1, Math.ceil((last - first + 1) / count));
      const powers: number[] = [];
      for (let power = first; power <= last; power += stride) powers.push(10 ** power);
      return powers;
    }
  }
  return ticksWithin(low, high, count);
}

/** SVG path through the values, broken where there are none. */
export function linePath(
  x: readonly number[],
  y: readonly (number | null)[],
  across: (value: number) => number,
  up: (value: number) => number,
  logarithmic: boolean,
): string {
  let path = "";
  let isDrawing = false;
  for (const [place, at] of x.entries()) {
    const value = y[place];
    if (value === null || value === undefined || (logarithmic && value <= 0)) {
      isDrawing = false;
      continue;
    }
    path += `${isDrawing ? "L" : "M"}${across(at).toFixed(1)} ${up(value).toFixed(1)}`;
    isDrawing = true;
  }
  return path;
}
