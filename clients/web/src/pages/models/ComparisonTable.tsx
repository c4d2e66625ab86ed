/** What a model says beside production, on frames that both annotated. */

import { useAttributeName } from "../../api/attributes";
import { Failure, Loading } from "../../ui/Notice";
import styles from "./Models.module.css";
import { useComparison } from "./useModels";

const signed = (value: number) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
const share = (count: number, frames: number) => `${((100 * count) / frames).toFixed(0)} %`;

/** Where they differ most comes first. */
export function ComparisonTable(props: { version: string }) {
  const { data, error, refetch } = useComparison(props.version);
  const name = useAttributeName();
  if (error) return <Failure error={error} onRetry={refetch} />;
  if (data === undefined) return <Loading what="the comparison" />;
  const { frames } = data;
  if (frames === 0) {
    return (
      <p className="muted">
        No frame was annotated by both. Have this model look at old frames, then compare.
      </p>
    );
  }
  const rows = [...data.attributes].sort((one, other) => other.distance - one.distance);
  return (
    <div className={styles.scroll}>
      <table className={styles.table}>
        <caption>
          On the newest {frames.toLocaleString()} frames that both annotated; the largest difference
          first
        </caption>
        <thead>
          <tr>
            <th scope="col">Attribute</th>
            <th scope="col">tagged by both</th>
            <th scope="col">by this alone</th>
            <th scope="col">by production alone</th>
            <th scope="col">probability, this minus production</th>
            <th scope="col">mean distance</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((one) => (
            <tr key={one.id}>
              <th scope="row">{name(one.id)}</th>
              <td>{share(one.both, frames)}</td>
              <td>{share(one.only_this, frames)}</td>
              <td>{share(one.only_other, frames)}</td>
              <td>{signed(one.difference)}</td>
              <td>{one.distance.toFixed(3)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
