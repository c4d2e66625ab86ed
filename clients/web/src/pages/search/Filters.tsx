/** The filters beside the query, and the order. */

import { type Asked, ORDERS, type Order } from "../../api/asked";
import { useAttributes } from "../../api/attributes";
import styles from "./Search.module.css";

const TEXTS = [
  ["sample", "Sample"],
  ["scan", "Scan"],
  ["technique", "Technique"],
  ["detector", "Detector"],
  ["beamline", "Beamline"],
  ["proposal", "Proposal"],
] as const;
const BOUNDS = [
  ["uncertain", "Uncertain", 0.9],
  ["disagreeing", "Models disagree", 0.5],
  ["novel", "Novel", 0.95],
] as const;

/** `onChange` gets what changes; what is undefined is no longer asked for. */
export function Filters(props: { asked: Asked; onChange: (change: Asked) => void }) {
  const { asked, onChange } = props;
  const attributes = useAttributes();
  return (
    <div className={styles.filters}>
      {TEXTS.map(([field, name]) => (
        <label key={field} className={styles.field}>
          <span>{name}</span>
          <input
            key={asked[field] ?? ""}
            defaultValue={asked[field] ?? ""}
            placeholder="all"
            onBlur={(event) => onChange({ [field]: event.target.value.trim() || undefined })}
            onKeyDown={(event) => {
              if (event.key === "Enter") event.currentTarget.blur();
            }}
          />
        </label>
      ))}
      {(["since", "until"] as const).map((field) => (
        <label key={field} className={styles.field}>
          <span>{field === "since" ? "From" : "Before"}</span>
          <input
            type="date"
            value={asked[field]?.slice(0, 10) ?? ""}
            onChange={(event) =>
              onChange({ [field]: event.target.value && `${event.target.value}T00:00:00Z` })
            }
          />
        </label>
      ))}
      <label className={styles.field}>
        <span>Labels</span>
        <select
          value={asked.labelled === undefined ? "" : String(asked.labelled)}
          onChange={({ target }) =>
            onChange({ labelled: target.value === "" ? undefined : target.value === "true" })
          }
        >
          <option value="">all</option>
          <option value="true">labelled</option>
          <option value="false">not labelled</option>
        </select>
      </label>
      <label className={styles.field}>
        <span>Order</span>
        <select
          value={asked.order ?? "newest"}
          onChange={({ target }) => {
            const order = target.value as Order;
            onChange({ order, of: order === "probability" ? attributes[0]?.id : undefined });
          }}
        >
          {Object.entries(ORDERS).map(([order, name]) => (
            <option key={order} value={order} disabled={order === "frame_number" && !asked.scan}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {asked.order === "probability" && (
        <label className={styles.field}>
          <span>Of</span>
          <select value={asked.of} onChange={({ target }) => onChange({ of: target.value })}>
            {attributes.map((attribute) => (
              <option key={attribute.id} value={attribute.id}>
                {attribute.name}
              </option>
            ))}
          </select>
        </label>
      )}
      <div className={styles.marks}>
        {BOUNDS.map(([field, name, bound]) => (
          <button
            key={field}
            type="button"
            aria-pressed={asked[field] !== undefined}
            title={`At least ${asked[field] ?? bound}`}
            onClick={() => onChange({ [field]: asked[field] === undefined ? bound : undefined })}
          >
            {name}
          </button>
        ))}
      </div>
    </div>
  );
}
