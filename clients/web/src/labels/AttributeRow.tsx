/** One attribute: what the model says, what one says oneself, what people come to. */

import type { ReactNode } from "react";
import { useAttributeName } from "../api/attributes";
import type { Schemas } from "../api/client";
import styles from "./LabelPanel.module.css";
import { contradicts, type Said, type Value } from "./saying";

const VALUES: { value: Value; sign: string }[] = [
  { value: "present", sign: "✓" },
  { value: "absent", sign: "✕" },
  { value: "unsure", sign: "?" },
];

interface Props {
  id: string;
  /** Of the list, from 1; the first nine have keys. */
  place: number;
  answer: Schemas["AttributeResult"] | undefined;
  said: Said;
  consensus: Schemas["Consensus"] | undefined;
  isChosen: boolean;
  isUnsent: boolean;
  onChoose: () => void;
  /** Without it one may only look. */
  onSay?: (value: Said["value"]) => void;
  /** What the chosen one shows below. */
  children: ReactNode;
}

/** Pressing what is said already withdraws it. */
export function AttributeRow(props: Props) {
  const { answer, said, consensus, isChosen, onSay } = props;
  const name = useAttributeName()(props.id);
  return (
    <li className={styles.row} data-chosen={isChosen} data-attribute={props.id}>
      <span className={styles.place} aria-hidden="true">
        {props.place <= 9 && <kbd>{props.place}</kbd>}
      </span>
      <button
        type="button"
        className={styles.name}
        aria-expanded={isChosen}
        onClick={(event) => {
          releaseFocus(event);
          props.onChoose();
        }}
      >
        <span className={styles.title}>
          {name}
          {props.isUnsent && <span className={styles.unsent}> · unsent</span>}
          {contradicts(said, answer) && (
            <span className={styles.against}> · against the model</span>
          )}
        </span>
        {answer && <Probability answer={answer} />}
      </button>
      {consensus && !consensus.agree && (
        <span
          className={styles.differ}
          title={`${consensus.present} present, ${consensus.absent} absent, ${consensus.unsure} unsure`}
        >
          {consensus.present}✓ {consensus.absent}✕
          <span className="visually-hidden">people differ</span>
        </span>
      )}
      <fieldset className={styles.values} aria-label={name}>
        {VALUES.map(({ value, sign }) => (
          <button
            key={value}
            type="button"
            className={styles.value}
            data-value={value}
            aria-pressed={said.value === value}
            aria-label={`${name}: ${value}`}
            title={value}
            disabled={onSay === undefined}
            onClick={(event) => {
              releaseFocus(event);
              props.onChoose();
              onSay?.(said.value === value ? null : value);
            }}
          >
            {sign}
          </button>
        ))}
      </fieldset>
      {props.children}
    </li>
  );
}

/** After a click Enter shall confirm the frame, not press the same button again. */
function releaseFocus(event: React.MouseEvent<HTMLButtonElement>) {
  if (event.detail > 0) event.currentTarget.blur();
}

function Probability(props: { answer: Schemas["AttributeResult"] }) {
  const { probability, threshold, tag } = props.answer;
  return (
    <span className={styles.probability} data-tag={tag}>
      <span className={styles.bar} aria-hidden="true">
        <span style={{ width: `${100 * probability}%` }} />
        <i style={{ left: `${100 * threshold}%` }} />
      </span>
      <span className="visually-hidden">
        {tag ? "the model says present," : "the model says absent,"}
      </span>
      {probability.toFixed(2)}
    </span>
  );
}
