/** Ask before something that cannot be undone. */

import { type ReactNode, useEffect, useRef } from "react";
import styles from "./Confirm.module.css";

/** A question over the page; Escape and "Cancel" leave everything as it is. */
export function Confirm(props: {
  title: string;
  children: ReactNode;
  action: string;
  busy?: boolean;
  onConfirm: () => void;
  onCancel: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      className={styles.dialog}
      aria-labelledby="confirm"
      onClose={props.onCancel}
    >
      <h2 id="confirm">{props.title}</h2>
      <div className={styles.text}>{props.children}</div>
      <div className={styles.actions}>
        <button type="button" onClick={props.onCancel}>
          Cancel
        </button>
        <button type="button" className="danger" disabled={props.busy} onClick={props.onConfirm}>
          {props.action}
        </button>
      </div>
    </dialog>
  );
}
