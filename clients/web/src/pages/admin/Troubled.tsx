/** Frames that failed or are in quarantine: why, and trying them again. */

import {
  type InfiniteData,
  useInfiniteQuery,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { api, dataOf, type Schemas } from "../../api/client";
import { Failure, Loading, Nothing } from "../../ui/Notice";
import styles from "./Admin.module.css";
import { when } from "./words";

type Job = Schemas["JobInfo"];
type Page = Schemas["JobPage"];
type State = "failed" | "quarantined";

const SAID = {
  failed: {
    about:
      "The file itself was the trouble. Trying again helps where the reader or the model was at fault and is mended now.",
    none: "No frame has failed.",
  },
  quarantined: {
    about:
      "Work on these frames kept dying. Look at the reason and the worker's log, then try them again.",
    none: "No frame is in quarantine.",
  },
};
/** As many as one request may name. */
const AT_ONCE = 1000;

export function Troubled(props: { state: State }) {
  const { state } = props;
  const [chosen, choose] = useState<ReadonlySet<number>>(new Set());
  const pages = useInfiniteQuery({
    queryKey: ["jobs", state],
    queryFn: ({ pageParam, signal }) =>
      dataOf(
        api.GET("/api/v1/jobs", {
          params: { query: { state, cursor: pageParam ?? undefined } },
          signal,
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    refetchOnMount: "always",
  });
  const retry = useRetry(state);
  if (pages.isPending) return <Loading what="frames" />;
  if (!pages.data)
    return (
      <Failure error={pages.error ?? new Error("Nothing came.")} onRetry={() => pages.refetch()} />
    );
  const jobs = pages.data.pages.flatMap((page) => page.items);
  const wanted = jobs.filter((job) => chosen.has(job.id)).slice(0, AT_ONCE);

  function toggle(ids: number[], on: boolean) {
    const next = new Set(chosen);
    for (const id of ids) on ? next.add(id) : next.delete(id);
    choose(next);
  }

  return (
    <section className={styles.panel} aria-label={`Frames that are ${state}`}>
      <div className={styles.bar}>
        <p className="muted">{SAID[state].about}</p>
        <span className={styles.gap} />
        <button type="button" onClick={() => pages.refetch()} disabled={pages.isFetching}>
          Look again
        </button>
        <button
          type="button"
          className="primary"
          disabled={wanted.length === 0 || retry.isPending}
          onClick={() => retry.mutate(wanted.map((job) => job.id))}
        >
          {wanted.length === 0 ? "Try again" : `Try ${wanted.length} again`}
        </button>
      </div>
      <p role="status" className={styles.toned} data-tone={retry.isSuccess ? "good" : undefined}>
        {retry.isSuccess && retriedWords(retry.data.ids.length, retry.variables.length)}
      </p>
      {(retry.error ?? pages.error) && (
        <p className={styles.problem} role="alert">
          {(retry.error ?? pages.error)?.message}
        </p>
      )}
      {jobs.length === 0 ? (
        <Nothing title={SAID[state].none}>Here they are listed with the reason.</Nothing>
      ) : (
        <JobTable
          jobs={jobs}
          chosen={chosen}
          onToggle={toggle}
          onRetry={(id) => retry.mutate([id])}
        />
      )}
      {pages.hasNextPage && (
        <button
          type="button"
          className={styles.more}
          disabled={pages.isFetching}
          onClick={() => pages.fetchNextPage()}
        >
          Show older ones
        </button>
      )}
    </section>
  );
}

/** Queue jobs anew; what waits again leaves the list at once. */
function useRetry(state: State) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (ids: number[]) => dataOf(api.POST("/api/v1/jobs/retry", { body: { ids } })),
    onSuccess: ({ ids }) => {
      queries.setQueryData<InfiniteData<Page>>(
        ["jobs", state],
        (before) =>
          before && { ...before, pages: before.pages.map((page) => without(page, new Set(ids))) },
      );
      queries.invalidateQueries({ queryKey: ["operations"] });
    },
  });
}

function without(page: Page, ids: ReadonlySet<number>): Page {
  return { ...page, items: page.items.filter((job) => !ids.has(job.id)) };
}

function retriedWords(done: number, asked: number): string {
  const first = done === 1 ? "1 frame waits again." : `${done} frames wait again.`;
  return done === asked ? first : `${first} The others had changed meanwhile; look again.`;
}

function JobTable(props: {
  jobs: Job[];
  chosen: ReadonlySet<number>;
  onToggle: (ids: number[], on: boolean) => void;
  onRetry: (id: number) => void;
}) {
  const { jobs, chosen } = props;
  const all = jobs.every((job) => chosen.has(job.id));
  return (
    <div className={styles.scroll}>
      <table className={styles.table}>
        <thead>
          <tr>
            <th>
              <input
                type="checkbox"
                aria-label="Choose all that are shown"
                checked={all}
                onChange={() =>
                  props.onToggle(
                    jobs.map((job) => job.id),
                    !all,
                  )
                }
              />
            </th>
            <th>Frame</th>
            <th>Why</th>
            <th className={styles.figure}>Attempts</th>
            <th>
              <span className="visually-hidden">Action</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <tr key={job.id}>
              <td>
                <input
                  type="checkbox"
                  aria-label={`Choose ${nameOf(job)}`}
                  checked={chosen.has(job.id)}
                  onChange={(event) => props.onToggle([job.id], event.target.checked)}
                />
              </td>
              <td className={styles.name}>
                <Link to={`/frames/${job.frame_id}`}>{nameOf(job)}</Link>
                <p>
                  {job.kind === "render" ? "drawn for" : "by"} {job.model.name}{" "}
                  <code>{job.model.version}</code>
                </p>
                <p>{job.finished && when(job.finished)}</p>
              </td>
              <td className={styles.why}>
                <Why reason={job.reason} />
              </td>
              <td className={styles.figure}>
                {job.attempts}
                {job.lost_leases > 0 && <p className="muted">{job.lost_leases} lost</p>}
                {job.crashes > 0 && <p className="muted">{job.crashes} crashed</p>}
              </td>
              <td>
                <button
                  type="button"
                  aria-label={`Try again: ${nameOf(job)}`}
                  onClick={() => props.onRetry(job.id)}
                >
                  Try again
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Why(props: { reason?: Job["reason"] }) {
  const { reason } = props;
  if (!reason) return "No reason was recorded.";
  return (
    <>
      <p>
        <strong>{reason.title}</strong>
      </p>
      <p>{reason.detail}</p>
      <p className="muted">{reason.remedy}</p>
    </>
  );
}

const nameOf = (job: Job) => job.filename ?? `${job.frame_id.slice(0, 12)}…`;
