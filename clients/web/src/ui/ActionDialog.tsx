/** A dialog before something that others will notice, or that cannot be undone. */

import { type ReactNode, useState } from "react";
import { Refusal } from "../api/client";
import { Dialog } from "./Dialog";
import styles from "./Dialog.module.css";

interface Props {
  title: string;
  action: string;
  isDanger?: boolean;
  /** Label of the reason; without it none is asked for. */
  reason?: string;
  /** The request is under way. */
  busy: boolean;
  error: Error | null;
  onDo: (reason: string) => void;
  onClose: () => void;
  /** What will happen, and further fields. */
  children: ReactNode;
}

/** What is refused is told in the dialog, which stays open. */
export function ActionDialog(props: Props) {
  const [reason, setReason] = useState("");
  const { error } = props;
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <form
        className={styles.form}
        onSubmit={(event) => {
          event.preventDefault();
          props.onDo(reason.trim());
        }}
      >
        {props.children}
        {props.reason && (
          <label>
            <span>{props.reason}</span>
            <textarea
              required
              rows={3}
              maxLength={2000}
              value={reason}
              onChange={(event) => setReason(event.target.value)}
            />
          </label>
        )}
        {error && (
          <div role="alert" className={styles.refused}>
            <strong>{error instanceof Refusal ? error.title : "Something failed"}</strong>
            <p>{error.message}</p>
            {error instanceof Refusal && <p>{error.remedy}</p>}
          </div>
        )}
        <div className={styles.actions}>
          <button type="button" onClick={props.onClose}>
            Back
          </button>
          <button
            type="submit"
            className={props.isDanger ? "danger" : "primary"}
            disabled={props.busy || (props.reason !== undefined && reason.trim() === "")}
          >
            {props.action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
