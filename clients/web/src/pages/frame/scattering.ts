/** Where in reciprocal space a detector pixel lies. Lengths in metres, q in nm^-1, d in nm. */

import type { Schemas } from "../../api/client";

export type Geometry = Schemas["GeometryIn"];
export type Unit = "nm" | "A";

interface Direction {
  radius: number;
  chi: number;
  q: number;
  twoTheta: number;
  d: number;
}

const DEGREES = 180 / Math.PI;

/** Of a pixel: radius in pixel widths, angles in degrees, chi 0 along columns and 90 along rows. */
export function directionOf(geometry: Geometry, row: number, col: number): Direction {
  const [pixelY, pixelX] = geometry.pixel_size_m;
  const [centerY, centerX] = geometry.beam_center_yx;
  const down = (row - centerY) * pixelY;
  const right = (col - centerX) * pixelX;
  const distance = Math.hypot(down, right);
  const twoTheta = Math.atan(distance / geometry.distance_m);
  const q = qOfTwoTheta(geometry, twoTheta);
  return {
    radius: distance / pixelX,
    chi: Math.atan2(down, right) * DEGREES,
    q,
    twoTheta: twoTheta * DEGREES,
    d: (2 * Math.PI) / q,
  };
}

function qOfTwoTheta(geometry: Geometry, twoTheta: number): number {
  return ((4e-9 * Math.PI) / geometry.wavelength_m) * Math.sin(twoTheta / 2);
}

/** Scattering vector at a radius in pixel widths. */
export function qOfRadius(geometry: Geometry, radius: number): number {
  return qOfTwoTheta(
    geometry,
    Math.atan((radius * geometry.pixel_size_m[1]) / geometry.distance_m),
  );
}

/** Radius in pixel widths of a scattering vector; infinite where a flat detector ends. */
export function radiusOfQ(geometry: Geometry, q: number): number {
  const sine = (q * 1e9 * geometry.wavelength_m) / (4 * Math.PI);
  if (sine >= Math.SQRT1_2) return Number.POSITIVE_INFINITY;
  return (Math.tan(2 * Math.asin(sine)) * geometry.distance_m) / geometry.pixel_size_m[1];
}

/** Largest radius, in pixel widths, that a frame reaches. */
function reach(geometry: Geometry, height: number, width: number): number {
  const corners: [number, number][] = [
    [0, 0],
    [0, width - 1],
    [height - 1, 0],
    [height - 1, width - 1],
  ];
  return Math.max(...corners.map(([row, col]) => directionOf(geometry, row, col).radius));
}

const STEPS = [1, 2, 5];
const MOST_RINGS = 12;

/** A spacing of rings in nm^-1 that gives about five, in round numbers of the unit. */
export function niceSpacing(geometry: Geometry, height: number, width: number, unit: Unit): number {
  const perUnit = unit === "nm" ? 1 : 10;
  const wanted = qOfRadius(geometry, reach(geometry, height, width)) / 5 / perUnit;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = [...STEPS, 10].find((one) => one * power >= wanted) ?? 10;
  return step * power * perUnit;
}

/** Lattice spacings of calibrants in nm, largest first. */
const CALIBRANTS = {
  AgBH: Array.from({ length: 12 }, (_, order) => 5.838 / (order + 1)),
  LaB6: cubic(0.415682, (h, k, l) => h + k + l > 0),
  CeO2: cubic(0.541165, (h, k, l) => h % 2 === k % 2 && k % 2 === l % 2),
} as const;
export type RingSource = "none" | "even" | keyof typeof CALIBRANTS;
export const RING_SOURCES: RingSource[] = ["none", "even", "AgBH", "LaB6", "CeO2"];

function cubic(edge: number, allowed: (h: number, k: number, l: number) => boolean): number[] {
  const squares = new Set<number>();
  for (let h = 0; h <= 5; h++) {
    for (let k = 0; k <= h; k++) {
      for (let l = 0; l <= k; l++) {
        if (h > 0 && allowed(h, k, l)) squares.add(h * h + k * k + l * l);
      }
    }
  }
  return [...squares].sort((a, b) => a - b).map((square) => edge / Math.sqrt(square));
}

/** Scattering vectors of the rings that fit on a frame. */
export function ringsOn(
  geometry: Geometry,
  height: number,
  width: number,
  source: RingSource,
  spacing: number,
): number[] {
  if (source === "none") return [];
  const largest = qOfRadius(geometry, reach(geometry, height, width));
  const all =
    source === "even"
      ? Array.from({ length: MOST_RINGS }, (_, place) => (place + 1) * spacing)
      : CALIBRANTS[source].map((d) => (2 * Math.PI) / d);
  return all.filter((q) => q > 0 && q <= largest);
}

/** A scattering vector as text in a unit. */
export function qText(q: number, unit: Unit): string {
  return unit === "nm" ? `${q.toPrecision(4)} nm⁻¹` : `${(q / 10).toPrecision(4)} Å⁻¹`;
}
