/** The keys of the review page. */

import { Dialog } from "../../ui/Dialog";
import styles from "./Review.module.css";

const KEYS: [string, string][] = [
  ["1 – 9", "choose the attribute at that place and say present; again: absent, unsure, nothing"],
  ["↑ ↓", "choose another attribute"],
  ["p a s", "say present, absent, unsure of the chosen one; Backspace withdraws it"],
  ["u", "undo"],
  ["Enter", "confirm what the model says of all that is not judged, and go on"],
  ["j ]", "next frame"],
  ["k [", "previous frame"],
  ["o", "overlay on or off"],
  ["?", "this list"],
];

/** Opened by `?`. */
export function KeyHelp(props: { onClose: () => void }) {
  return (
    <Dialog title="Keys" onClose={props.onClose}>
      <dl className={styles.keys}>
        {KEYS.map(([keys, meaning]) => (
          <div key={keys}>
            <dt>{keys}</dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
