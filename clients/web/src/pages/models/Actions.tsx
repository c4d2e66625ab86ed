/** What one may do with a model: promote it, name it candidate, have it look at old frames. */

import { useState } from "react";
import { api } from "../../api/client";
import { useMay } from "../../api/session";
import { ActionDialog } from "../../ui/ActionDialog";
import type { Detail } from "./useModels";
import { useChange } from "./useModels";

interface Props {
  model: Detail;
  production: string | undefined;
}

/** Nothing without the scope. */
export function Actions(props: Props) {
  const { model } = props;
  const [dialog, setDialog] = useState<"promote" | "annotate" | null>(null);
  const candidate = useChange((version: string | null) =>
    api.PUT("/api/v1/models/aliases/candidate", { body: { version } }),
  );
  if (!useMay("models:write")) return null;
  const isProduction = model.state === "production";
  const isCandidate = model.aliases.includes("candidate");
  return (
    <>
      {!isProduction && (
        <button type="button" className="primary" onClick={() => setDialog("promote")}>
          Promote
        </button>
      )}
      {!isProduction && (
        <button
          type="button"
          aria-pressed={isCandidate}
          disabled={candidate.isPending}
          onClick={() => candidate.mutate(isCandidate ? null : model.version)}
        >
          Candidate
        </button>
      )}
      <button type="button" onClick={() => setDialog("annotate")}>
        Annotate old frames
      </button>
      {dialog === "promote" && <Promote {...props} onClose={() => setDialog(null)} />}
      {dialog === "annotate" && <AnnotateOld model={model} onClose={() => setDialog(null)} />}
    </>
  );
}

function Promote(props: Props & { onClose: () => void }) {
  const { model, production } = props;
  const { version } = model;
  const isAdmin = useMay("admin");
  const [override, setOverride] = useState(false);
  const [since, setSince] = useState("");
  const passed = model.gate?.against === production && model.gate?.passed === true;
  const change = useChange(
    (reason: string) =>
      api.POST("/api/v1/models/{version}/promote", {
        params: { path: { version } },
        body: { reason, override, reannotate: since ? { since } : null },
      }),
    props.onClose,
  );
  return (
    <ActionDialog
      title={`Make ${model.name} production`}
      action="Promote"
      reason="Why is it better?"
      busy={change.isPending}
      error={change.error}
      onDo={(reason) => change.mutate(reason)}
      onClose={props.onClose}
    >
      <p>
        Frames that come from now on are annotated by <code>{version}</code>. Frames that wait are
        answered by <code>{production}</code>.
      </p>
      {!passed && (
        <p>
          The gate {model.gate?.against === production ? "refused it" : "was not asked"}: without a
          passed report only an admin promotes.
        </p>
      )}
      {!passed && isAdmin && (
        <label>
          <input
            type="checkbox"
            checked={override}
            onChange={(event) => setOverride(event.target.checked)}
          />{" "}
          promote although the gate did not pass it; the history tells
        </label>
      )}
      <label>
        <span>Look at old frames too, sent since (empty: none)</span>
        <input type="date" value={since} onChange={(event) => setSince(event.target.value)} />
      </label>
    </ActionDialog>
  );
}

const FIELDS = ["since", "proposal", "beamline", "scan", "sample"] as const;

function AnnotateOld(props: { model: Detail; onClose: () => void }) {
  const { version } = props.model;
  const [wanted, setWanted] = useState<Partial<Record<(typeof FIELDS)[number], string>>>({});
  const change = useChange(() => {
    const body = Object.fromEntries(Object.entries(wanted).filter(([, text]) => text !== ""));
    return api.POST("/api/v1/models/{version}/annotate", { params: { path: { version } }, body });
  }, props.onClose);
  return (
    <ActionDialog
      title="Annotate old frames"
      action="Annotate"
      busy={change.isPending}
      error={change.error}
      onDo={() => change.mutate(undefined)}
      onClose={props.onClose}
    >
      <p>After all new ones, and none twice. Empty fields do not narrow.</p>
      {FIELDS.map((field) => (
        <label key={field}>
          <span>{field === "since" ? "sent since" : field}</span>
          <input
            type={field === "since" ? "date" : "text"}
            value={wanted[field] ?? ""}
            onChange={(event) => setWanted({ ...wanted, [field]: event.target.value })}
          />
        </label>
      ))}
    </ActionDialog>
  );
}
