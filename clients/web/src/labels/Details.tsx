/** Below the chosen attribute: its note and place, and what others say of it. */

import { useEffect, useState } from "react";
import { useAttributes } from "../api/attributes";
import styles from "./LabelPanel.module.css";
import type { Label, Said } from "./saying";
import type { Drawing, OnDrawing } from "./useSketch";

interface Props {
  attribute: string;
  said: Said;
  /** What all authors say of it now. */
  labels: readonly Label[];
  person: string;
  drawing: Drawing | null;
  onDrawing?: OnDrawing;
  onSay?: (said: Said) => void;
}

/** Definition, note, region and the other authors of one attribute. */
export function Details(props: Props) {
  const { attribute, said, drawing, onDrawing, onSay } = props;
  const about = useAttributes().find(({ id }) => id === attribute);
  const others = props.labels.filter((label) => label.person !== props.person);
  const begin = (shape: Drawing["shape"]) => onDrawing?.({ attribute, shape, region: null });
  return (
    <div className={styles.details}>
      {about && <p className="muted">{about.definition}</p>}
      {others.length > 0 && (
        <ul className={styles.others} aria-label="What others say">
          {others.map((label) => (
            <li key={label.person}>
              <strong>{label.author}</strong>: {label.value}
              {label.note && <q>{label.note}</q>}
            </li>
          ))}
        </ul>
      )}
      {onSay && said.value === null && (
        <p className="muted">Say something to add a note or a place.</p>
      )}
      {onSay && said.value !== null && (
        <NoteField
          key={attribute}
          note={said.note ?? ""}
          onChange={(note) => onSay({ ...said, note: note || null })}
        />
      )}
      {onDrawing && said.value !== "absent" && (
        <div className={styles.actions}>
          {drawing ? (
            <>
              <span role="status">
                {drawing.shape === "box"
                  ? "Drag a box on the frame; Esc gives up."
                  : "Click corners; a double click ends, Esc gives up."}
              </span>
              <button type="button" onClick={() => onDrawing(null)}>
                Stop drawing
              </button>
            </>
          ) : (
            <>
              <button type="button" onClick={() => begin("box")}>
                Draw a box
              </button>
              <button type="button" onClick={() => begin("polygon")}>
                Draw a polygon
              </button>
              {said.region && onSay && (
                <button type="button" onClick={() => onSay({ ...said, region: null })}>
                  Remove the region
                </button>
              )}
            </>
          )}
        </div>
      )}
    </div>
  );
}

function NoteField(props: { note: string; onChange: (note: string) => void }) {
  const [text, setText] = useState(props.note);
  useEffect(() => setText(props.note), [props.note]);
  const done = () => {
    if (text.trim() !== props.note) props.onChange(text.trim());
  };
  return (
    <label className={styles.note}>
      <span>Note</span>
      <input
        value={text}
        maxLength={2000}
        placeholder="What is special here?"
        onChange={(event) => setText(event.target.value)}
        onBlur={done}
        onKeyDown={(event) => {
          if (event.key === "Enter") event.currentTarget.blur();
        }}
      />
    </label>
  );
}
