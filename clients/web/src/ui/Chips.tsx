/** Tags of a frame, by their display names. */

import { useAttributeName } from "../api/attributes";
import styles from "./Chips.module.css";

/** One chip for each attribute; at most `most`, then how many more there are. */
export function Chips(props: { tags: readonly string[]; most?: number }) {
  const name = useAttributeName();
  const most = props.most ?? props.tags.length;
  const rest = props.tags.length - most;
  return (
    <ul className={styles.chips} aria-label="Tags">
      {props.tags.slice(0, most).map((id) => (
        <li key={id}>{name(id)}</li>
      ))}
      {rest > 0 && (
        <li title={props.tags.slice(most).map(name).join(", ")}>
          +{rest} <span className="visually-hidden">more</span>
        </li>
      )}
    </ul>
  );
}
