/** The frames of a search as a dataset that training takes; what is refused is told. */

import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { refusalOf } from "../../api/client";
import { ActionDialog } from "../../ui/ActionDialog";

const SPLITS = [
  ["", "divided by experiment"],
  ["train", "all to learn from"],
  ["validation", "all to calibrate by"],
  ["test", "all to judge by"],
] as const;

/** A button and what it opens; `query` is the search. */
export function DatasetExport(props: { query: string }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Dataset
      </button>
      {open && <Choice query={props.query} onClose={() => setOpen(false)} />}
    </>
  );
}

function Choice(props: { query: string; onClose: () => void }) {
  const [split, setSplit] = useState("");
  const exported = useMutation({
    mutationFn: () => fetchDataset(props.query, split),
    onSuccess: (file) => {
      save(file);
      props.onClose();
    },
  });
  return (
    <ActionDialog
      title="Export a dataset"
      action={exported.isPending ? "Putting it together …" : "Download"}
      busy={exported.isPending}
      error={exported.error}
      onDo={() => exported.mutate()}
      onClose={props.onClose}
    >
      <p>
        The frames of this search with the labels that people agree on, for{" "}
        <code>scatterlens train</code>. What nobody judged is unknown.
      </p>
      <label>
        <span>Frames are</span>
        <select value={split} onChange={(event) => setSplit(event.target.value)}>
          {SPLITS.map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      </label>
    </ActionDialog>
  );
}

async function fetchDataset(query: string, split: string): Promise<File> {
  const asked = new URLSearchParams(query);
  if (split) asked.set("split", split);
  const answer = await fetch(`/api/v1/dataset.jsonl?${asked}`);
  if (!answer.ok) throw await refusalOf(answer);
  const named = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "");
  return new File([await answer.blob()], named?.[1] ?? "dataset.jsonl");
}

function save(file: File) {
  const address = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = address;
  link.download = file.name;
  link.click();
  URL.revokeObjectURL(address);
}
