/** Correct what a model says about a frame: every attribute present, absent or unsure. */

import { useEffect, useMemo, useRef, useState } from "react";
import { useAttributes } from "../api/attributes";
import type { Schemas } from "../api/client";
import { useMay } from "../api/session";
import { useKeys } from "../ui/keys";
import { Failure, Loading } from "../ui/Notice";
import { AttributeRow } from "./AttributeRow";
import { Details } from "./Details";
import { History } from "./History";
import styles from "./LabelPanel.module.css";
import { confirmations, contradicts, NOTHING, nextValue, type Said, withValue } from "./saying";
import { UnsentEdits } from "./UnsentEdits";
import { useLabels } from "./useLabels";
import type { Drawing, OnDrawing } from "./useSketch";

type Answer = Pick<Schemas["Annotation"], "model" | "attributes">;

interface Props {
  frameId: string;
  /** The model's answer; undefined while there is none. */
  annotation: Answer | undefined;
  /** Attribute at the first place: the one in doubt. */
  first?: string | null;
  /** The attribute that is looked at. */
  chosen: string | null;
  onChoose: (attribute: string) => void;
  /** A region that is being drawn; without `onDrawing` none is offered. */
  drawing?: Drawing | null;
  onDrawing?: OnDrawing;
  /** After every edit. */
  onSaid?: () => void;
  /** After Enter. */
  onConfirmed?: () => void;
}

/** Labels of one frame by mouse and keyboard; edits go out at once, or when there is a connection. */
export function LabelPanel(props: Props) {
  const { frameId, annotation, chosen, onChoose, drawing, onDrawing } = props;
  const mayLabel = useMay("labels:write");
  const labels = useLabels(frameId);
  const undone = useRef<Record<string, Said>[]>([]);
  const [canUndo, setCanUndo] = useState(false);
  const known = useAttributes();
  const answers = annotation?.attributes;
  const places = useMemo(() => {
    const ids = answers?.map(({ id }) => id) ?? known.map(({ id }) => id);
    const first = ids.filter((id) => id === props.first);
    return [...first, ...ids.filter((id) => id !== props.first)];
  }, [answers, known, props.first]);
  const byId = useMemo(() => new Map(answers?.map((answer) => [answer.id, answer])), [answers]);
  const shown = useMemo(() => shownBy(annotation), [annotation]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another frame has nothing to undo
  useEffect(() => {
    undone.current = [];
    setCanUndo(false);
  }, [frameId]);

  function say(sayings: Record<string, Said>) {
    const ids = Object.keys(sayings);
    if (ids.length === 0) return;
    undone.current.push(Object.fromEntries(ids.map((id) => [id, labels.own[id] ?? NOTHING])));
    setCanUndo(true);
    labels.say(sayings, shown);
    props.onSaid?.();
  }

  function undo() {
    const before = undone.current.pop();
    if (before) labels.say(before, shown);
    setCanUndo(undone.current.length > 0);
  }

  const sayValue = (id: string, value: Said["value"]) =>
    say({ [id]: withValue(labels.own[id] ?? NOTHING, value) });

  function confirm() {
    say(confirmations(answers ?? [], labels.own));
    props.onConfirmed?.();
  }

  // biome-ignore lint/correctness/useExhaustiveDependencies: only what was drawn matters
  useEffect(() => {
    if (!drawing?.region || !onDrawing) return;
    const before = labels.own[drawing.attribute] ?? NOTHING;
    const value = before.value === "unsure" ? "unsure" : "present";
    say({ [drawing.attribute]: { ...before, value, region: drawing.region } });
    onDrawing(null);
  }, [drawing]);

  useKeys((key) => {
    if (!mayLabel || labels.data === undefined) return false;
    const place = /^[1-9]$/.test(key) ? places[Number(key) - 1] : undefined;
    if (place !== undefined) {
      onChoose(place);
      sayValue(place, nextValue(labels.own[place]?.value ?? null));
    } else if (key === "u") undo();
    else if (key === "Enter" && answers) confirm();
    else if (key === "ArrowDown" || key === "ArrowUp") {
      const at = places.indexOf(chosen ?? "") + (key === "ArrowDown" ? 1 : -1);
      const next = places[Math.min(Math.max(at, 0), places.length - 1)];
      if (next !== undefined) onChoose(next);
    } else if (chosen !== null && key in VALUE_KEYS) sayValue(chosen, VALUE_KEYS[key] ?? null);
    else return false;
    return true;
  });

  if (labels.data === undefined) {
    return labels.error ? (
      <Failure error={labels.error} onRetry={labels.refetch} />
    ) : (
      <Loading what="labels" />
    );
  }
  const judged = places.filter((id) => labels.own[id]?.value);
  const against = judged.filter((id) => contradicts(labels.own[id] ?? NOTHING, byId.get(id)));
  const consensus = new Map(labels.data.consensus.map((one) => [one.attribute, one]));
  const differing = labels.data.consensus.filter((one) => !one.agree).length;
  return (
    <section className={styles.panel} aria-label="Labels">
      <header className={styles.head}>
        <p role="status">
          You judged {judged.length} of {places.length}
          {against.length > 0 && (
            <span className={styles.against}>, {against.length} against the model</span>
          )}
          {differing > 0 && <span className={styles.differ}>; people differ on {differing}</span>}
        </p>
        {mayLabel && (
          <span className={styles.actions}>
            <button type="button" disabled={!canUndo} onClick={undo} title="u">
              Undo
            </button>
            <button
              type="button"
              className="primary"
              disabled={!answers}
              onClick={confirm}
              title="Enter"
            >
              Confirm all
            </button>
          </span>
        )}
      </header>
      <UnsentEdits frame={frameId} />
      <ol className={styles.rows}>
        {places.map((id, at) => (
          <AttributeRow
            key={id}
            id={id}
            place={at + 1}
            answer={byId.get(id)}
            said={labels.own[id] ?? NOTHING}
            consensus={consensus.get(id)}
            isChosen={id === chosen}
            isUnsent={labels.unsent.some((edit) => edit.attribute === id)}
            onChoose={() => onChoose(id)}
            onSay={mayLabel ? (value) => sayValue(id, value) : undefined}
          >
            {id === chosen && (
              <Details
                attribute={id}
                said={labels.own[id] ?? NOTHING}
                labels={labels.data.labels.filter((one) => one.attribute === id)}
                person={labels.person}
                drawing={drawing ?? null}
                onDrawing={mayLabel ? onDrawing : undefined}
                onSay={mayLabel ? (said) => say({ [id]: said }) : undefined}
              />
            )}
          </AttributeRow>
        ))}
      </ol>
      <History frame={frameId} />
    </section>
  );
}

const VALUE_KEYS: Record<string, Said["value"]> = {
  p: "present",
  a: "absent",
  s: "unsure",
  Backspace: null,
};

/** What goes into the record with a label: the answer that was before one's eyes. */
function shownBy(annotation: Answer | undefined): Schemas["Shown"] | null {
  const attributes = annotation?.attributes ?? [];
  if (annotation === undefined || attributes.length === 0) return null;
  const { model } = annotation;
  return {
    model: `${model.name}@${model.version}`,
    probabilities: Object.fromEntries(attributes.map(({ id, probability }) => [id, probability])),
  };
}
