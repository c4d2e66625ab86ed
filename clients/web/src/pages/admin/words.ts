/** Figures of the admin pages, in words. */

import type { Schemas } from "../../api/client";

/** A span of time: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`. */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** Bytes of a disk, in the units that its maker uses. */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let size = count;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

/** A day and time as this browser's reader writes them. */
export const when = (time: string) =>
  new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

/** A day as this browser's reader writes it. */
export const day = (time: string) =>
  new Date(time).toLocaleDateString(undefined, { dateStyle: "medium" });

/** How long ago something was, by this browser's clock. */
export function ago(time: string, now: number): string {
  const seconds = (now - Date.parse(time)) / 1000;
  return seconds < 60 ? "just now" : `${duration(seconds)} ago`;
}

export type KeyState = "valid" | "ends soon" | "expired" | "revoked";

const SOON_MS = 7 * 86_400_000;

/** Whether a key still opens anything. */
export function keyState(key: Schemas["KeyInfo"], now: number): KeyState {
  if (key.revoked) return "revoked";
  if (!key.expires) return "valid";
  const left = Date.parse(key.expires) - now;
  if (left <= 0) return "expired";
  return left < SOON_MS ? "ends soon" : "valid";
}

/** Keys that open something first, and the newest of each first. */
export function inOrder(keys: Schemas["KeyInfo"][], now: number): Schemas["KeyInfo"][] {
  const dead = (key: Schemas["KeyInfo"]) =>
    ["expired", "revoked"].includes(keyState(key, now)) ? 1 : 0;
  return [...keys].sort(
    (a, b) => dead(a) - dead(b) || Date.parse(b.created) - Date.parse(a.created),
  );
}
