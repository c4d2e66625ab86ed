/** How far a training is, in words, and its curve. */

import type { Schemas } from "../../api/client";
import type { Series } from "../../ui/LineChart";

type Run = Schemas["Training"];

const STAGES: Record<NonNullable<Run["progress"]>["stage"], string> = {
  load: "loading frames",
  pretrain: "simulated frames first",
  train: "training",
  export: "writing the bundle",
};

const STATES: Record<Run["state"], string> = {
  queued: "waits for a trainer",
  leased: "begins",
  done: "done",
  failed: "refused",
  quarantined: "gave up",
  cancelled: "cancelled",
};

export const isOpen = (run: Pick<Run, "state">) => run.state === "queued" || run.state === "leased";

/** `training, 42 %, 3 min left`. */
export function progressOf(run: Pick<Run, "state" | "progress">): string {
  const { progress } = run;
  if (run.state !== "leased" || !progress) return STATES[run.state];
  const left = progress.eta_seconds;
  const parts = [STAGES[progress.stage], `${Math.floor(100 * progress.share)} %`];
  if (left !== null && left !== undefined) parts.push(`${duration(left)} left`);
  return parts.join(", ");
}

/** `50 s`, `3 min`, `2 h 5 min`. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** The two curves of `GET /training/{id}/metrics`: loss, and mAP where it was measured. */
export function curvesOf(ndjson: string): { loss: Series; meanAp: Series } {
  const points: Record<string, unknown>[] = ndjson
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => JSON.parse(line));
  const curve = (name: string): Series["points"] =>
    points.flatMap(({ passes, [name]: y }) =>
      typeof passes === "number" && typeof y === "number" ? [{ x: passes, y }] : [],
    );
  return {
    loss: { name: "loss", points: curve("loss") },
    meanAp: { name: "mAP", points: curve("mean_ap") },
  };
}
