/** API keys: who has which, making one, ending one. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, dataOf, type Schemas } from "../../api/client";
import { useSession } from "../../api/session";
import { ActionDialog } from "../../ui/ActionDialog";
import { Failure, Loading } from "../../ui/Notice";
import styles from "./Admin.module.css";
import { KeyForm } from "./KeyForm";
import { ago, day, inOrder, keyState } from "./words";

type Key = Schemas["KeyInfo"];

export function Keys() {
  const [asked, ask] = useState<Key | null>(null);
  const queries = useQueryClient();
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ["keys"],
    queryFn: ({ signal }) => dataOf(api.GET("/api/v1/keys", { signal })),
  });
  const revoke = useMutation({
    mutationFn: (key_id: string) =>
      dataOf(api.POST("/api/v1/keys/{key_id}/revoke", { params: { path: { key_id } } })),
    onSettled: () => {
      ask(null);
      // It may have been the key that this page is logged in by.
      queries.invalidateQueries({ queryKey: ["session"] });
      return queries.invalidateQueries({ queryKey: ["keys"] });
    },
  });
  if (isPending) return <Loading what="keys" />;
  if (!data) return <Failure error={error ?? new Error("Nothing came.")} onRetry={refetch} />;
  return (
    <>
      <KeyForm roles={data.roles} keys={data.items} />
      <section className={styles.panel} aria-labelledby="keys">
        <h2 id="keys">All keys</h2>
        {revoke.error && (
          <p className={styles.problem} role="alert">
            {revoke.error.message}
          </p>
        )}
        <KeyTable keys={data.items} onRevoke={ask} />
      </section>
      {asked && (
        <RevokeQuestion
          of={asked}
          busy={revoke.isPending}
          onRevoke={() => revoke.mutate(asked.id)}
          onClose={() => ask(null)}
        />
      )}
    </>
  );
}

function RevokeQuestion(props: {
  of: Key;
  busy: boolean;
  onRevoke: () => void;
  onClose: () => void;
}) {
  const { name } = useSession();
  return (
    <ActionDialog
      title={`Revoke the key of ${props.of.name}?`}
      action="Revoke"
      isDanger
      busy={props.busy}
      error={null}
      onDo={props.onRevoke}
      onClose={props.onClose}
    >
      <p>
        Programs and browsers that use it are refused at once. This cannot be undone; what was sent
        and labelled with it stays.
      </p>
      {props.of.name === name && (
        <p className={styles.bad}>You are logged in under this name: this may log you out.</p>
      )}
    </ActionDialog>
  );
}

function KeyTable(props: { keys: Key[]; onRevoke: (key: Key) => void }) {
  const now = Date.now();
  return (
    <div className={styles.scroll}>
      <table className={styles.table}>
        <thead>
          <tr>
            <th>Name</th>
            <th>State</th>
            <th>May</th>
            <th>Sees</th>
            <th>Ends</th>
            <th>Last used</th>
            <th>
              <span className="visually-hidden">Action</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {inOrder(props.keys, now).map((key) => (
            <KeyLine key={key.id} of={key} now={now} onRevoke={props.onRevoke} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function KeyLine(props: { of: Key; now: number; onRevoke: (key: Key) => void }) {
  const key = props.of;
  const state = keyState(key, props.now);
  const dead = state === "revoked" || state === "expired";
  const ends = key.revoked ?? key.expires;
  return (
    <tr data-dead={dead || undefined}>
      <th scope="row" className={styles.name}>
        {key.name}
        <p>
          <code>{key.id}</code>
        </p>
        <p>made {day(key.created)}</p>
      </th>
      <td>
        <span className={styles.keyState} data-state={state}>
          {state}
        </span>
      </td>
      <td>
        {key.role}
        <p className={styles.scopes}>{key.scopes.join(", ")}</p>
      </td>
      <td>{[key.proposal, key.beamline].filter(Boolean).join(" at ") || "everything"}</td>
      <td className={styles.time}>{ends ? day(ends) : "never"}</td>
      <td className={styles.time}>{key.used ? ago(key.used, props.now) : "never"}</td>
      <td>
        {!dead && (
          <button
            type="button"
            className="danger"
            aria-label={`Revoke the key of ${key.name}`}
            onClick={() => props.onRevoke(key)}
          >
            Revoke
          </button>
        )}
      </td>
    </tr>
  );
}
