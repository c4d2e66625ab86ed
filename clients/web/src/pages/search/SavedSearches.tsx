/** Searches that one keeps: open, keep, forget. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { api, dataOf } from "../../api/client";
import { Dialog } from "../../ui/Dialog";
import { Failure, Loading } from "../../ui/Notice";
import styles from "./Search.module.css";

/** A button and what it opens; `query` is the search that would be kept. */
export function SavedSearches(props: { query: string }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Saved searches
      </button>
      {open && (
        <Dialog title="Saved searches" onClose={() => setOpen(false)}>
          <Saved query={props.query} onDone={() => setOpen(false)} />
        </Dialog>
      )}
    </>
  );
}

function Saved(props: { query: string; onDone: () => void }) {
  const [name, setName] = useState("");
  const queries = useQueryClient();
  const refresh = () => queries.invalidateQueries({ queryKey: ["searches"] });
  const saved = useQuery({
    queryKey: ["searches"],
    queryFn: () => dataOf(api.GET("/api/v1/searches")),
  });
  const keep = useMutation({
    mutationFn: () =>
      dataOf(api.POST("/api/v1/searches", { body: { name: name.trim(), query: props.query } })),
    onSuccess: () => {
      setName("");
      return refresh();
    },
  });
  const forget = useMutation({
    mutationFn: (id: number) =>
      api.DELETE("/api/v1/searches/{search_id}", { params: { path: { search_id: id } } }),
    onSuccess: refresh,
  });
  const items = saved.data?.items ?? [];
  return (
    <div className={styles.saved}>
      {saved.isPending && <Loading what="searches" />}
      {saved.error && <Failure error={saved.error} onRetry={saved.refetch} />}
      {saved.data && items.length === 0 && (
        <p className="muted">You keep no search yet. Give the one on the page a name to keep it.</p>
      )}
      <ul>
        {items.map((search) => (
          <li key={search.id}>
            <Link to={{ pathname: "/search", search: search.query }} onClick={props.onDone}>
              {search.name}
            </Link>
            <button
              type="button"
              aria-label={`Forget ${search.name}`}
              onClick={() => forget.mutate(search.id)}
            >
              Forget
            </button>
          </li>
        ))}
      </ul>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          keep.mutate();
        }}
      >
        <label>
          Name of this search{" "}
          <input value={name} maxLength={100} onChange={(event) => setName(event.target.value)} />
        </label>
        <button type="submit" className="primary" disabled={!name.trim() || keep.isPending}>
          Keep it
        </button>
      </form>
      {keep.error && <p className={styles.problem}>{keep.error.message}</p>}
    </div>
  );
}
