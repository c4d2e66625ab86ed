/** What one person says about one attribute, and how a key press changes it. */

import type { Schemas } from "../api/client";

export type Value = "present" | "absent" | "unsure";
/** (row, col) on detector pixels, centres at integers. */
export type Point = [number, number];
/** As answers hold it: a tuple of the document is an array there. */
export type Label = Omit<Schemas["LabelEntry"], "region"> & { region?: number[][] | null };
type Answer = Schemas["AttributeResult"];

/** A label of one's own; `value` null = nothing is said. */
export interface Said {
  value: Value | null;
  region: Point[] | null;
  note: string | null;
}

export const NOTHING: Said = { value: null, region: null, note: null };

const CYCLE: (Value | null)[] = ["present", "absent", "unsure", null];

/** What the next press says: present, absent, unsure, nothing, and again. */
export function nextValue(value: Value | null): Value | null {
  return CYCLE[(CYCLE.indexOf(value) + 1) % CYCLE.length] ?? null;
}

/** Another value for a label: its note stays; a place only where it is present. */
export function withValue(said: Said, value: Value | null): Said {
  if (value === null) return NOTHING;
  return { value, note: said.note, region: value === "absent" ? null : said.region };
}

/** Whether two labels say the same. */
export function isSame(one: Said, other: Said): boolean {
  return JSON.stringify(parts(one)) === JSON.stringify(parts(other));
}

const parts = (said: Said) =>
  said.value === null ? [null] : [said.value, said.region, said.note || null];

/** What a person says now, by attribute. */
export function sayingsOf(labels: readonly Label[], person: string): Record<string, Said> {
  const own: Record<string, Said> = {};
  for (const { attribute, value, region, note, ...label } of labels) {
    if (label.person !== person) continue;
    own[attribute] = { value, region: pointsOf(region), note: note ?? null };
  }
  return own;
}

/** The points of a label's region. */
export function pointsOf(region: Label["region"]): Point[] | null {
  return region?.map(([row = 0, col = 0]) => [row, col]) ?? null;
}

/** What confirming the model's answer says: its tags, of all that is not judged yet. */
export function confirmations(
  answers: readonly Answer[],
  own: Readonly<Record<string, Said>>,
): Record<string, Said> {
  const open = answers.filter(({ id }) => (own[id]?.value ?? null) === null);
  return Object.fromEntries(
    open.map(({ id, tag }) => [id, { ...NOTHING, value: tag ? "present" : "absent" }]),
  );
}

/** Whether a label contradicts the model; an unsure one does not. */
export function contradicts(said: Said, answer: Answer | undefined): boolean {
  if (answer === undefined || said.value === null || said.value === "unsure") return false;
  return (said.value === "present") !== answer.tag;
}
