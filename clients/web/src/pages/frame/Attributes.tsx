/** What a model says of each attribute, and whether the others agree. */

import { useAttributeName } from "../../api/attributes";
import type { Annotation, Schemas } from "../../api/client";
import { Loading, Nothing } from "../../ui/Notice";
import styles from "./Attributes.module.css";

/** Probabilities as bars with their thresholds; a press lays the attribute's map on the frame. */
export function Attributes(props: {
  annotation: Annotation | undefined;
  agreement: readonly Schemas["Agreement"][];
  shown: string | null;
  onShow: (attribute: string | null) => void;
}) {
  const { annotation, shown } = props;
  const name = useAttributeName();
  if (!annotation) return <Nothing title="No model was asked">Send it again, naming one.</Nothing>;
  const { state, reason } = annotation;
  if (state === "queued" || state === "leased") return <Loading what="answer of the model" />;
  if (state !== "done") {
    return (
      <Nothing title={reason?.title ?? `The frame was ${state}`}>
        <p>{reason?.detail}</p>
        <p>{reason?.remedy}</p>
      </Nothing>
    );
  }
  const agreed = new Map(props.agreement.map((one) => [one.id, one]));
  const attributes = [...(annotation.attributes ?? [])].sort(
    (a, b) => b.probability - a.probability,
  );
  return (
    <>
      <ul className={styles.attributes}>
        {attributes.map(({ id, probability, threshold, tag }) => (
          <li key={id}>
            <button
              type="button"
              className={styles.attribute}
              aria-pressed={shown === id}
              onClick={() => props.onShow(shown === id ? null : id)}
              title={`Probability ${probability.toFixed(3)}, threshold ${threshold.toFixed(3)}`}
            >
              <span className={tag ? styles.tagged : styles.name}>
                {tag && <span className="visually-hidden">tag: </span>}
                {name(id)}
              </span>
              <Opinion agreement={agreed.get(id)} />
              <span className={styles.number}>{(100 * probability).toFixed(0)} %</span>
              <span className={styles.bar} aria-hidden="true">
                <span
                  className={tag ? styles.filledTagged : styles.filled}
                  style={{ width: `${100 * probability}%` }}
                />
                <span className={styles.threshold} style={{ left: `${100 * threshold}%` }} />
              </span>
            </button>
          </li>
        ))}
      </ul>
      <p className={styles.legend}>
        <span className={styles.thresholdKey} aria-hidden="true" /> threshold: above it the
        attribute is a tag. <kbd>o</kbd> shows the next map.
      </p>
    </>
  );
}

function Opinion(props: { agreement: Schemas["Agreement"] | undefined }) {
  const { agreement } = props;
  if (!agreement || agreement.models < 2) return <span />;
  const { tags, models, spread, map_overlap } = agreement;
  const overlap =
    map_overlap === null ? "" : `; maps overlap by ${(100 * map_overlap).toFixed(0)} %`;
  return (
    <span
      className={agreement.agree ? styles.agree : styles.differ}
      title={`${tags} of ${models} models tag it; probabilities differ by ${spread.toFixed(2)}${overlap}`}
    >
      {tags}/{models}
      {!agreement.agree && " differ"}
    </span>
  );
}
