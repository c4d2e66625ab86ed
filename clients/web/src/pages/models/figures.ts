/** The figures that a bundle carries, read from whatever it holds of them. */

import type { Series } from "../../ui/LineChart";

interface AttributeFigures {
  ap?: number;
  ece?: number;
  hits?: number;
}

export interface Figures {
  /** On simulated test frames. */
  meanAp?: number;
  hard?: number;
  frames?: number;
  benchmark?: string;
  /** Share of hits in the pointing game, beside a random place. */
  pointing?: number;
  random?: number;
  /** On real test frames, with its interval. */
  real?: number;
  interval?: [number, number];
  realFrames?: number;
  /** In the order of the bundle's vocabulary; empty where not measured. */
  attributes: AttributeFigures[];
  curves: Series[];
}

type Json = Readonly<Record<string, unknown>>;

/** Read `metrics` of a bundle; what is missing or odd is left out. */
export function figuresOf(metrics: Json): Figures {
  const benchmark = object(metrics.benchmark);
  const pointing = object(benchmark.pointing);
  const real = object(metrics.real);
  const [low, high] = list(real.mean_ap_interval).map(number);
  const ap = list(benchmark.ap).map(number);
  const ece = list(benchmark.ece).map(number);
  const hits = list(object(pointing.per_attribute).hits).map(number);
  return {
    meanAp: number(benchmark.mean_ap) ?? number(metrics.mean_ap),
    hard: number(benchmark.hard_mean_ap),
    frames: number(benchmark.frames),
    benchmark: typeof benchmark.name === "string" ? benchmark.name : undefined,
    pointing: number(pointing.hits),
    random: number(pointing.random),
    real: number(real.mean_ap),
    interval: low !== undefined && high !== undefined ? [low, high] : undefined,
    realFrames: number(real.frames),
    attributes: ap.map((value, at) => ({ ap: value, ece: ece[at], hits: hits[at] })),
    curves: curvesOf(object(metrics.curves)),
  };
}

function curvesOf(curves: Json): Series[] {
  const all = Object.entries(curves).map(([name, points]) => ({
    name,
    points: list(points).flatMap((point) => {
      const [x, y] = [number(object(point).passes), number(object(point).mean_ap)];
      return x === undefined || y === undefined ? [] : [{ x, y }];
    }),
  }));
  return all.filter(({ points }) => points.length > 1);
}

const number = (value: unknown) =>
  typeof value === "number" && Number.isFinite(value) ? value : undefined;
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const object = (value: unknown): Json =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};

/** `0.751`; a dash where it was not measured. */
export const shown = (value: number | null | undefined, digits = 3) =>
  value === null || value === undefined ? "–" : value.toFixed(digits).replace("-", "−");

/** `0.831 (0.726 – 0.915)`. */
export function withInterval(value: number | undefined, interval?: [number, number]): string {
  if (interval === undefined) return shown(value);
  return `${shown(value)} (${shown(interval[0])} – ${shown(interval[1])})`;
}
