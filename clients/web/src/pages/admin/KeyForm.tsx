/** Making a key; it is shown once. */

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, dataOf, Refusal, type Schemas } from "../../api/client";
import styles from "./Admin.module.css";
import { type Draft, EMPTY_DRAFT, toKeyIn } from "./draft";

type Role = Schemas["RoleInfo"];

export function KeyForm(props: { roles: Role[]; keys: Schemas["KeyInfo"][] }) {
  const [open, setOpen] = useState(false);
  const [made, setMade] = useState<Schemas["NewKey"] | null>(null);
  if (made) return <MadeKey of={made} onDone={() => setMade(null)} />;
  if (open)
    return (
      <Form
        roles={props.roles}
        keys={props.keys}
        onMade={(key) => {
          setMade(key);
          setOpen(false);
        }}
        onCancel={() => setOpen(false)}
      />
    );
  return (
    <div className={styles.bar}>
      <button type="button" className="primary" onClick={() => setOpen(true)}>
        New key
      </button>
    </div>
  );
}

function MadeKey(props: { of: Schemas["NewKey"]; onDone: () => void }) {
  const [copied, setCopied] = useState(false);
  async function copy() {
    await navigator.clipboard.writeText(props.of.key);
    setCopied(true);
  }
  return (
    <section className={styles.panel} data-tone="made" aria-labelledby="made">
      <h2 id="made">The key of {props.of.name}</h2>
      <p>Keep it now: it is shown this once, and nobody can look it up later.</p>
      <div className={styles.bar}>
        <output className={styles.secret} aria-label="The new key">
          {props.of.key}
        </output>
        {/* Browsers let pages copy only where nobody can listen. */}
        {window.isSecureContext && (
          <button type="button" onClick={copy}>
            {copied ? "Copied" : "Copy"}
          </button>
        )}
        <button type="button" className="primary" onClick={props.onDone}>
          I have kept it
        </button>
      </div>
    </section>
  );
}

function Form(props: {
  roles: Role[];
  keys: Schemas["KeyInfo"][];
  onMade: (key: Schemas["NewKey"]) => void;
  onCancel: () => void;
}) {
  const queries = useQueryClient();
  const [draft, setDraft] = useState<Draft>(EMPTY_DRAFT);
  const allowed = props.roles.find(({ role }) => role === draft.role)?.scopes ?? [];
  const create = useMutation({
    mutationFn: () => dataOf(api.POST("/api/v1/keys", { body: toKeyIn(draft, allowed) })),
    onSuccess: (key) => {
      props.onMade(key);
      return queries.invalidateQueries({ queryKey: ["keys"] });
    },
  });
  const change = (part: Partial<Draft>) => setDraft({ ...draft, ...part });
  const scopes = allowed.filter((scope) => !draft.without.includes(scope));
  return (
    <form
      className={styles.panel}
      aria-labelledby="new-key"
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate();
      }}
    >
      <h2 id="new-key">New key</h2>
      <div className={styles.fields}>
        <label className={styles.field}>
          Who or what will use it
          <input
            required
            maxLength={100}
            // biome-ignore lint/a11y/noAutofocus: the form was asked for just now
            autoFocus
            value={draft.name}
            onChange={(event) => change({ name: event.target.value })}
          />
          <small>For people to read; two keys of one name are two persons.</small>
        </label>
        <label className={styles.field}>
          Further key of
          <select
            value={draft.continues}
            onChange={(event) => change({ continues: event.target.value })}
          >
            <option value="">somebody new</option>
            {props.keys.map(({ id, name }) => (
              <option key={id} value={id}>
                {name} ({id})
              </option>
            ))}
          </select>
          <small>Labels and saved searches of that key are this one's, too.</small>
        </label>
        <label className={styles.field}>
          Role
          <select
            value={draft.role}
            onChange={(event) => {
              const chosen = props.roles.find(({ role }) => role === event.target.value);
              if (chosen) change({ role: chosen.role, without: [] });
            }}
          >
            {props.roles.map(({ role }) => (
              <option key={role}>{role}</option>
            ))}
          </select>
        </label>
        <label className={styles.field}>
          Days until it ends
          <input
            type="number"
            min={1}
            max={36_499}
            placeholder="never"
            value={draft.days}
            onChange={(event) => change({ days: event.target.value })}
          />
          <small>Empty: it never ends.</small>
        </label>
        <label className={styles.field}>
          Proposal
          <input
            maxLength={100}
            placeholder="all"
            value={draft.proposal}
            onChange={(event) => change({ proposal: event.target.value })}
          />
          <small>It sees only that one.</small>
        </label>
        <label className={styles.field}>
          Beamline
          <input
            maxLength={100}
            placeholder="all"
            value={draft.beamline}
            onChange={(event) => change({ beamline: event.target.value })}
          />
          <small>It sees only that one.</small>
        </label>
      </div>
      <fieldset className={styles.checks}>
        <legend>What it may do</legend>
        {allowed.map((scope) => (
          <label key={scope}>
            <input
              type="checkbox"
              checked={scopes.includes(scope)}
              onChange={(event) =>
                change({
                  without: event.target.checked
                    ? draft.without.filter((one) => one !== scope)
                    : [...draft.without, scope],
                })
              }
            />
            <code>{scope}</code>
          </label>
        ))}
      </fieldset>
      {create.error && (
        <p className={styles.problem} role="alert">
          {create.error.message} {create.error instanceof Refusal && create.error.remedy}
        </p>
      )}
      <div className={styles.bar}>
        <button
          type="submit"
          className="primary"
          disabled={create.isPending || scopes.length === 0}
        >
          Make the key
        </button>
        <button type="button" onClick={props.onCancel}>
          Cancel
        </button>
      </div>
    </form>
  );
}
