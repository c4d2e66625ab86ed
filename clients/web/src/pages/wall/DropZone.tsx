/** Files chosen, or dropped anywhere on the page, are sent one after another. */

import { useEffect, useRef, useState } from "react";
import styles from "./DropZone.module.css";
import { type Sent, sendFile } from "./upload";

/** Button for files; what was refused is listed until it is put away. */
export function DropZone(props: { onSent: () => void }) {
  const { onSent } = props;
  const [left, setLeft] = useState(0);
  const [refused, setRefused] = useState<Sent[]>([]);
  const [over, setOver] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const send = useRef(async (_files: FileList | null) => {});
  send.current = async (files) => {
    const all = [...(files ?? [])];
    setLeft((before) => before + all.length);
    for (const file of all) {
      const sent = await sendFile(file);
      if (sent.problem) setRefused((before) => [...before, sent]);
      setLeft((before) => before - 1);
    }
    onSent();
  };

  useEffect(() => {
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    function dragOver(event: DragEvent) {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(true);
    }
    function leave(event: DragEvent) {
      if (event.relatedTarget === null) setOver(false);
    }
    function drop(event: DragEvent) {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(false);
      void send.current(event.dataTransfer?.files ?? null);
    }
    addEventListener("dragover", dragOver);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", dragOver);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, []);

  return (
    <>
      <button type="button" onClick={() => picker.current?.click()}>
        {left > 0 ? `Sending ${left} …` : "Send files"}
      </button>
      <input
        ref={picker}
        type="file"
        multiple
        hidden
        aria-label="Files to send"
        onChange={(event) => {
          void send.current(event.target.files);
          event.target.value = "";
        }}
      />
      {over && <div className={styles.over}>Drop detector files to send them</div>}
      {refused.length > 0 && (
        <div className={styles.refused} role="alert">
          <ul>
            {refused.map((sent) => (
              <li key={sent.filename}>
                <strong>{sent.filename}</strong>: {sent.problem}
              </li>
            ))}
          </ul>
          <button type="button" onClick={() => setRefused([])}>
            Put away
          </button>
        </div>
      )}
    </>
  );
}
