/** The box for a query about attributes, which completes their names. */

import { useEffect, useId, useRef, useState } from "react";
import { useAttributes } from "../../api/attributes";
import { complete, completions, wordBefore } from "./completing";
import styles from "./Search.module.css";

/** `value` is what was asked for last; `problem` is what is wrong with it. */
export function QueryBox(props: {
  value: string;
  problem?: string;
  onAsk: (query: string) => void;
}) {
  const attributes = useAttributes();
  const [text, setText] = useState(props.value);
  const [cursor, setCursor] = useState<number | null>(null);
  const [chosen, setChosen] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const list = useId();
  useEffect(() => setText(props.value), [props.value]);

  const word = cursor === null ? null : wordBefore(text, cursor);
  const offered = word === null ? [] : completions(word.word, attributes);

  function take(id: string) {
    const done = complete(text, cursor ?? text.length, id);
    setText(done.text);
    setCursor(null);
    setChosen(-1);
    requestAnimationFrame(() => input.current?.setSelectionRange(done.cursor, done.cursor));
  }

  function onKey(event: React.KeyboardEvent<HTMLInputElement>) {
    const taken = offered[chosen];
    if (event.key === "Enter") {
      if (taken) take(taken.id);
      else {
        setCursor(null);
        props.onAsk(text.trim());
      }
    } else if (offered.length > 0 && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const step = event.key === "ArrowDown" ? 1 : -1;
      setChosen((chosen + step + offered.length) % offered.length);
    } else if (event.key === "Escape") {
      setCursor(null);
      setChosen(-1);
      return;
    } else return;
    event.preventDefault();
  }

  return (
    <div className={styles.query}>
      <label htmlFor={`${list}-box`}>Attributes</label>
      <input
        ref={input}
        id={`${list}-box`}
        value={text}
        spellCheck={false}
        autoComplete="off"
        placeholder="ring > 0.8 and not halo"
        role="combobox"
        aria-expanded={offered.length > 0}
        aria-controls={list}
        aria-autocomplete="list"
        aria-activedescendant={chosen >= 0 ? `${list}-${chosen}` : undefined}
        aria-invalid={props.problem !== undefined}
        aria-describedby={`${list}-problem`}
        onChange={(event) => {
          setText(event.target.value);
          setCursor(event.target.selectionStart);
          setChosen(-1);
        }}
        onKeyDown={onKey}
        onBlur={() => setCursor(null)}
      />
      <div id={list} role="listbox" aria-label="Attributes" className={styles.offered}>
        {offered.map((attribute, index) => (
          // biome-ignore lint/a11y/useFocusableInteractive: the box keeps the focus
          // biome-ignore lint/a11y/useKeyWithClickEvents: as above; arrows and Enter do it
          <div
            key={attribute.id}
            id={`${list}-${index}`}
            role="option"
            aria-selected={index === chosen}
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => take(attribute.id)}
          >
            {attribute.id} <span className="muted">{attribute.name}</span>
          </div>
        ))}
      </div>
      <p id={`${list}-problem`} className={styles.problem} role="alert">
        {props.problem}
      </p>
    </div>
  );
}
