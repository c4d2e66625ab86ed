/** The form that starts a training: sensible as it is, everything else one fold away. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";
import { useAttributes } from "../../api/attributes";
import { api, dataOf } from "../../api/client";
import { ActionDialog } from "../../ui/ActionDialog";
import { DEFAULTS, type Fields, requestOf } from "./request";
import styles from "./Training.module.css";
import { type Run, useStart } from "./useTrainings";

type NumberField = "passes" | "pretrain_passes" | "simulated" | "weight" | "seed" | "evaluations";

const NUMBERS: { field: NumberField; label: string; min: number; placeholder?: string }[] = [
  {
    field: "passes",
    label: "Frames shown in all",
    min: 1,
    placeholder: "3,000 from a model's weights, else 60,000",
  },
  { field: "simulated", label: "Simulated frames", min: 0 },
  { field: "weight", label: "Draws of a labelled frame beside a simulated one", min: 0 },
  { field: "pretrain_passes", label: "Simulated frames shown first", min: 0 },
  { field: "evaluations", label: "Points of the curve", min: 1 },
  { field: "seed", label: "Seed", min: 0 },
];

interface Props {
  /** A run that ended can be gone on from. */
  runs: readonly Run[];
  onClose: () => void;
}

/** Once started, its page opens. */
export function StartDialog(props: Props) {
  const [fields, setFields] = useState<Fields>(DEFAULTS);
  const [unreadable, setUnreadable] = useState<Error | null>(null);
  // Of the form: a request that is sent twice is one run.
  const [key, setKey] = useState(() => crypto.randomUUID());
  const navigate = useNavigate();
  const start = useStart((id) => navigate(`/training/${id}`));
  const { data: models } = useQuery({
    queryKey: ["models"],
    queryFn: () => dataOf(api.GET("/api/v1/models")),
  });
  const attributes = useAttributes();

  function set(change: Partial<Fields>) {
    setFields({ ...fields, ...change });
    setKey(crypto.randomUUID());
  }

  function send() {
    setUnreadable(null);
    try {
      start.mutate({ body: requestOf(fields), key });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      setUnreadable(error);
    }
  }

  return (
    <ActionDialog
      title="Start a training"
      action={start.isPending ? "Starting …" : "Start"}
      busy={start.isPending}
      error={unreadable ?? start.error}
      onDo={send}
      onClose={props.onClose}
    >
      <p>
        It learns from all labels as they stand when it begins, beside simulated frames. What comes
        of it is registered as the candidate; promoting it is left to people.
      </p>
      <label>
        <span>Note</span>
        <input
          value={fields.note}
          maxLength={2000}
          placeholder="Why, for people"
          onChange={(event) => set({ note: event.target.value })}
        />
      </label>
      <label>
        <span>Begin with</span>
        <select value={fields.start} onChange={(event) => set({ start: event.target.value })}>
          <option value="auto">production's weights, where they fit</option>
          <option value="nothing">nothing</option>
          {models?.map((model) => (
            <option key={model.version} value={model.version}>
              {model.name} {model.version}
            </option>
          ))}
          {props.runs
            .filter((run) => run.state === "done")
            .map((run) => (
              <option key={run.id} value={run.id}>
                {run.id}
              </option>
            ))}
        </select>
      </label>
      <details className={styles.more}>
        <summary>More</summary>
        <div className={styles.fields}>
          <label>
            <span>Recipe</span>
            <input
              value={fields.recipe}
              pattern="slim-[a-z0-9_]+"
              placeholder="production's; slim-METHOD"
              onChange={(event) => set({ recipe: event.target.value })}
            />
          </label>
          <label>
            <span>Name of the model</span>
            <input
              value={fields.name}
              pattern="[a-z0-9][a-z0-9_.\-]*"
              placeholder="that of the recipe"
              onChange={(event) => set({ name: event.target.value })}
            />
          </label>
          {NUMBERS.map(({ field, label, ...rest }) => (
            <label key={field}>
              <span>{label}</span>
              <input
                type="number"
                step={field === "weight" ? "any" : 1}
                {...rest}
                value={fields[field]}
                onChange={(event) => set({ [field]: event.target.value })}
              />
            </label>
          ))}
          <label className={styles.wide}>
            <span>Other fields of the recipe, one a line</span>
            <textarea
              rows={3}
              value={fields.overrides}
              placeholder="batch=8"
              onChange={(event) => set({ overrides: event.target.value })}
            />
          </label>
          <label className={styles.wide}>
            <span>Refuse it where training shows one of these nowhere (none chosen: all)</span>
            <select
              multiple
              size={5}
              value={[...fields.attributes]}
              onChange={(event) =>
                set({ attributes: [...event.target.selectedOptions].map(({ value }) => value) })
              }
            >
              {attributes.map(({ id, name }) => (
                <option key={id} value={id}>
                  {name}
                </option>
              ))}
            </select>
          </label>
          <label className={styles.wide}>
            <input
              type="checkbox"
              checked={fields.gradients}
              onChange={(event) => set({ gradients: event.target.checked })}
            />{" "}
            with a graph of inner gradient maps
          </label>
        </div>
      </details>
    </ActionDialog>
  );
}
