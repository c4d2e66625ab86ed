/** The labels of a frame as its viewer sees them: what the gateway has, and edits on their way. */

import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { useAttributeName } from "../api/attributes";
import { api, dataOf, Refusal, type Schemas } from "../api/client";
import { useEvents } from "../api/events";
import { useSession } from "../api/session";
import type { Region } from "./Outlines";
import { type Edit, type Outbox, openOutbox, type Post, type Standing } from "./outbox";
import { NOTHING, pointsOf, type Said, sayingsOf } from "./saying";

type FrameLabels = NonNullable<Awaited<ReturnType<typeof getLabels>>["data"]>;

const labelsKey = (frame: string) => ["labels", frame];
const historyKey = (frame: string) => ["label-history", frame];
const opened = new Map<string, Outbox>();

interface Read {
  labels: FrameLabels;
  standing: Standing;
}

/** The outbox of whoever is logged in; edits of others stay theirs. */
export function useOutbox(): Outbox {
  const { person, name } = useSession();
  const queries = useQueryClient();
  let outbox = opened.get(person);
  if (outbox === undefined) {
    adoptNamed(name, person);
    outbox = openOutbox(localStorage, placeOf(person), postOf(person, queries));
    opened.set(person, outbox);
  }
  return outbox;
}

const placeOf = (owner: string) => `scatterlens.outbox.${owner}`;

/** Edits that a version before left unsent, which knew people by their names. */
function adoptNamed(name: string, person: string) {
  const left = localStorage.getItem(placeOf(name));
  if (left === null || localStorage.getItem(placeOf(person)) !== null) return;
  localStorage.setItem(placeOf(person), left);
  localStorage.removeItem(placeOf(name));
}

/** What waits to be sent, and whether it is being sent. */
export function useUnsent() {
  const outbox = useOutbox();
  return useSyncExternalStore(outbox.subscribe, outbox.snapshot);
}

/** A frame's labels, asked for while `wanted`; `own` has edits in it that are on their way. */
export function useLabels(frame: string, wanted = true) {
  const { person, name: author } = useSession();
  const outbox = useOutbox();
  const { edits } = useUnsent();
  const query = useQuery({
    queryKey: labelsKey(frame),
    enabled: wanted,
    queryFn: async () => {
      const read = await readLabels(frame, person);
      outbox.learn(frame, read.standing);
      return read.labels;
    },
  });
  const queries = useQueryClient();
  useEvents((event) => {
    // Of one's own edits the answer told already; what others say is asked for.
    if (event.kind !== "labelled" || event.frame_id !== frame) return;
    if (edits.some((edit) => edit.frame === frame)) return;
    void queries.invalidateQueries({ queryKey: labelsKey(frame) });
    void queries.invalidateQueries({ queryKey: historyKey(frame) });
  });
  const unsent = edits.filter((edit) => edit.frame === frame);
  const standing = sayingsOf(query.data?.labels ?? [], person);
  const own = { ...standing };
  for (const edit of unsent) own[edit.attribute] = edit.said;

  /** Say something about several attributes at once. */
  function say(sayings: Readonly<Record<string, Said>>, shown: Edit["shown"]) {
    for (const [attribute, said] of Object.entries(sayings)) {
      const base = standing[attribute] ?? NOTHING;
      outbox.add({ frame, attribute, said, base, shown: said.value === null ? null : shown });
    }
  }
  return { ...query, person, author, own, unsent, say };
}

/** Where labels of an attribute (null = of all) lie; one's own also while they are on their way. */
export function useRegions(frame: string, attribute: string | null, wanted = true): Region[] {
  const { data, person, author, own } = useLabels(frame, wanted);
  const name = useAttributeName();
  const others = (data?.labels ?? []).filter((label) => label.person !== person);
  const said = [
    ...others.map((label) => ({ ...label, points: pointsOf(label.region) })),
    ...Object.entries(own).map(([id, { region }]) => ({ attribute: id, author, points: region })),
  ];
  return said.flatMap(({ points, ...label }) => {
    if (points === null || (attribute !== null && label.attribute !== attribute)) return [];
    return [{ title: `${name(label.attribute)} · ${label.author}`, points }];
  });
}

/** All that was ever said about a frame, oldest first; asked for while `wanted`. */
export function useLabelHistory(frame: string, wanted: boolean) {
  return useQuery({
    queryKey: historyKey(frame),
    enabled: wanted,
    queryFn: async () => {
      const path = { frame_id: frame };
      const asked = { params: { path, query: { history: true } } };
      return (await dataOf(api.GET("/api/v1/frames/{frame_id}/labels", asked))).history ?? [];
    },
  });
}

function getLabels(frame: string) {
  const params = { path: { frame_id: frame } };
  // The browser's own copy may be older than the gateway's.
  return api.GET("/api/v1/frames/{frame_id}/labels", { params, cache: "no-cache" });
}

async function readLabels(frame: string, person: string): Promise<Read> {
  const answer = await getLabels(frame);
  return toRead(answer.data, answer.response, person);
}

function toRead(labels: FrameLabels | undefined, response: Response, person: string): Read {
  if (labels === undefined) throw new Refusal(502, "The answer is empty", "", "Try again.");
  const etag = response.headers.get("ETag") ?? "*";
  return { labels, standing: { etag, own: sayingsOf(labels.labels, person) } };
}

function postOf(person: string, queries: QueryClient): Post {
  function show(frame: string, { labels, standing }: Read): Standing {
    queries.setQueryData(labelsKey(frame), labels);
    void queries.invalidateQueries({ queryKey: historyKey(frame) });
    return standing;
  }
  return {
    read: async (frame) => show(frame, await readLabels(frame, person)),
    put: async (frame, edits, etag) => {
      const labels = Object.fromEntries(edits.map((edit) => [edit.attribute, toLabel(edit.said)]));
      const shown = edits[0]?.shown ?? null;
      const { data, response } = await api.PUT("/api/v1/frames/{frame_id}/labels", {
        params: { path: { frame_id: frame }, header: { "if-match": etag } },
        body: { labels, shown },
      });
      return show(frame, toRead(data, response, person));
    },
  };
}

const toLabel = ({ value, region, note }: Said): Schemas["LabelIn"] => ({
  value,
  region,
  note: note || null,
});
