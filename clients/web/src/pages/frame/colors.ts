/** Colours of a map, as text. */

import { type ColorMap, INTERPOLATORS } from "@h5web/lib";

/** The colour of the smallest values. */
export function lowestColor(colorMap: ColorMap, invert: boolean): string {
  return INTERPOLATORS[colorMap](invert ? 1 : 0);
}

/** The map from its first to its last colour, for CSS. */
export function gradient(colorMap: ColorMap, invert: boolean): string {
  const stops = Array.from({ length: 17 }, (_, place) => {
    const part = place / 16;
    return INTERPOLATORS[colorMap](invert ? 1 - part : part);
  });
  return `linear-gradient(to right, ${stops.join(", ")})`;
}
