/** A search, as the address of a page tells it: a link to the page is one too. */

export const ORDERS = {
  newest: "Newest first",
  oldest: "Oldest first",
  frame_number: "By frame number",
  novelty: "Most novel first",
  probability: "Most probable first",
} as const;

export type Order = keyof typeof ORDERS;

const TEXTS = ["query", "scan", "sample", "technique", "detector", "proposal", "beamline"] as const;
const TIMES = ["since", "until"] as const;
const FIGURES = ["uncertain", "disagreeing", "novel"] as const;

/** Parameters of `GET /frames` that the page knows. */
export interface Asked
  extends Partial<Record<(typeof TEXTS)[number] | (typeof TIMES)[number], string>>,
    Partial<Record<(typeof FIGURES)[number], number>> {
  labelled?: boolean;
  order?: Order;
  of?: string;
}

/** Read an address; what makes no sense in it is left out. */
export function readAsked(address: URLSearchParams): Asked {
  const asked: Asked = {};
  for (const field of [...TEXTS, ...TIMES]) {
    const value = address.get(field)?.trim();
    if (value) asked[field] = value;
  }
  for (const field of FIGURES) {
    const value = Number.parseFloat(address.get(field) ?? "");
    if (value >= 0 && value <= 1) asked[field] = value;
  }
  const labelled = address.get("labelled");
  if (labelled === "true" || labelled === "false") asked.labelled = labelled === "true";
  const order = address.get("order") ?? "newest";
  if (order in ORDERS && order !== "newest") asked.order = order as Order;
  if (asked.order === "probability") asked.of = address.get("of") ?? undefined;
  return isWhole(asked) ? asked : { ...asked, order: undefined, of: undefined };
}

/** Some orders need to know of what: a scan, an attribute. */
function isWhole(asked: Asked): boolean {
  if (asked.order === "frame_number") return asked.scan !== undefined;
  return asked.order !== "probability" || asked.of !== undefined;
}

/** The same search as the parameters of an address. */
export function writeAsked(asked: Asked): string {
  const address = new URLSearchParams();
  for (const [name, value] of Object.entries(asked)) {
    if (value !== undefined) address.set(name, String(value));
  }
  return address.toString();
}
