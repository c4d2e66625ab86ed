/** How frames are displayed: one choice for all frames, kept in this browser. */

import type { ColorMap } from "@h5web/lib";
import { useState } from "react";
import type { Scale } from "./contrast";
import type { RingSource, Unit } from "./scattering";

export interface Display {
  scale: Scale;
  /** Percentiles of live pixels that get the first and the last colour. */
  percentiles: [number, number];
  colorMap: ColorMap;
  invert: boolean;
  /** Masked pixels are neutral; else as dark as no counts. */
  markMasked: boolean;
  mirrored: boolean;
  /** Row 0 at the bottom, as calibration programs show it. */
  upsideDown: boolean;
  unit: Unit;
  center: boolean;
  rings: RingSource;
  /** nm^-1; null chooses it for the frame. */
  spacing: number | null;
  opacity: number;
}

export const COLOR_MAPS = ["Viridis", "Inferno", "Turbo", "Greys", "Cividis"] as const;

const DEFAULTS: Display = {
  scale: "log",
  percentiles: [1, 99.8],
  colorMap: "Viridis",
  invert: false,
  markMasked: true,
  mirrored: false,
  upsideDown: false,
  unit: "nm",
  center: true,
  rings: "none",
  spacing: null,
  opacity: 0.7,
};
const KEY = "scatterlens.display";

function read(): Display {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return DEFAULTS;
  }
}

export type Change = (part: Partial<Display>) => void;

/** The display, and a way to change parts of it. */
export function useDisplay(): [Display, Change] {
  const [display, setDisplay] = useState(read);
  function change(part: Partial<Display>) {
    setDisplay((before) => {
      const after = { ...before, ...part };
      localStorage.setItem(KEY, JSON.stringify(after));
      return after;
    });
  }
  return [display, change];
}
