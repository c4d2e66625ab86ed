/** Finding frames: by what is seen in them, how they were sent, or one that they are like. */

import { useMemo } from "react";
import { useSearchParams } from "react-router";
import { type Asked, readAsked, writeAsked } from "../../api/asked";
import { Refusal } from "../../api/client";
import { FrameGrid } from "../../frames/FrameGrid";
import { EMPTY, lengthOf, listOf } from "../../frames/list";
import { useFrameList } from "../../frames/useFrameList";
import { Failure, Loading, Nothing } from "../../ui/Notice";
import { DatasetExport } from "./DatasetExport";
import { Filters } from "./Filters";
import { QueryBox } from "./QueryBox";
import { SavedSearches } from "./SavedSearches";
import styles from "./Search.module.css";
import { useCount, useSimilar } from "./useSearch";

const EXPORTS = [
  ["frames.csv", "CSV"],
  ["annotations.ndjson", "JSON lines"],
] as const;

/** Page at `/search`; the search is the address. */
export default function Search() {
  const [address, setAddress] = useSearchParams();
  const similar = address.get("similar");
  const asked = readAsked(address);
  const ask = (change: Asked) =>
    setAddress(writeAsked(readAsked(new URLSearchParams(writeAsked({ ...asked, ...change })))));
  if (similar !== null) return <Similar frameId={similar} />;
  return <Found asked={asked} onAsk={ask} />;
}

function Found(props: { asked: Asked; onAsk: (change: Asked) => void }) {
  const { asked, onAsk } = props;
  const found = useFrameList(asked);
  const count = useCount(asked, !found.error);
  const address = writeAsked(asked);
  // What is wrong with the query stands below its box, where it is mended.
  const misread = found.error instanceof Refusal && found.error.status === 422;
  const nothing = lengthOf(found.list) === 0;
  return (
    <div className={styles.page}>
      <div className={styles.head}>
        <div className={styles.bar}>
          <h1>Search</h1>
          <span className="muted" role="status">
            {count.data &&
              `${count.data.exact ? "" : "at least "}${number(count.data.count)} frames`}
          </span>
          <span className={styles.gap} />
          {EXPORTS.map(([path, name]) => (
            <a key={path} className="button" href={`/api/v1/${path}?${address}`} download={path}>
              {name}
            </a>
          ))}
          <DatasetExport query={address} />
          <SavedSearches query={address} />
        </div>
        <QueryBox
          value={asked.query ?? ""}
          problem={misread ? found.error?.message : undefined}
          onAsk={(query) => onAsk({ query: query || undefined })}
        />
        <Filters asked={asked} onChange={onAsk} />
      </div>
      <div className={styles.frames}>
        {found.error && nothing ? (
          misread ? (
            <Nothing title="The query cannot be read">What is wrong stands below its box.</Nothing>
          ) : (
            <Failure error={found.error} onRetry={found.reload} />
          )
        ) : nothing && found.loading ? (
          <Loading what="frames" />
        ) : nothing ? (
          <Nothing title="No frame fits">
            Take a filter away, or ask for lower probabilities.
          </Nothing>
        ) : (
          <FrameGrid
            key={found.address}
            list={found.list}
            onSee={found.see}
            position={found.position}
            search={address}
            foot={found.error && <Failure error={found.error} onRetry={found.retry} />}
          />
        )}
      </div>
    </div>
  );
}

function Similar(props: { frameId: string }) {
  const { data, error, refetch } = useSimilar(props.frameId);
  const list = useMemo(() => {
    return data ? listOf({ frames: data.items.map(({ frame }) => frame), cursor: null }) : EMPTY;
  }, [data]);
  return (
    <div className={styles.page}>
      <div className={styles.head}>
        <div className={styles.bar}>
          <h1>Similar frames</h1>
          <span className="muted" role="status">
            {data && `the likest of ${number(data.compared)} frames, the likest first`}
          </span>
          <span className={styles.gap} />
          <a className="button" href="/search">
            Search
          </a>
        </div>
      </div>
      <div className={styles.frames}>
        {error ? (
          <Failure error={error} onRetry={refetch} />
        ) : data === undefined ? (
          <Loading what="similar frames" />
        ) : lengthOf(list) === 0 ? (
          <Nothing title="No other frame to compare">
            Frames that the model annotates from now on are compared.
          </Nothing>
        ) : (
          <FrameGrid list={list} />
        )}
      </div>
    </div>
  );
}

const number = (count: number) => count.toLocaleString("en");
