/** Radial and azimuthal profiles over all live pixels. */

import { useMemo, useState } from "react";
import { Failure, Loading, Nothing } from "../../ui/Notice";
import type { Observable } from "./observable";
import { Plot } from "./Plot";
import styles from "./Profiles.module.css";
import type { Unit } from "./scattering";
import { useAzimuthal, useRadial } from "./useFrame";

/** Pointing at the radial profile marks the ring on the frame. */
export function Profiles(props: {
  frameId: string;
  isKnown: boolean;
  unit: Unit;
  marked: Observable<number | null>;
}) {
  const { frameId, unit, marked } = props;
  const [logarithmic, setLogarithmic] = useState(true);
  const [range, setRange] = useState<[number, number] | null>(null);
  const radial = useRadial(frameId, props.isKnown);
  const azimuthal = useAzimuthal(frameId, props.isKnown, range);
  const perUnit = radial.data?.q_inv_nm && unit === "A" ? 10 : 1;
  const rings = radial.data;
  const x = useMemo(
    () => rings?.q_inv_nm?.map((q) => q / perUnit) ?? rings?.radius_px ?? [],
    [rings, perUnit],
  );
  if (!props.isKnown) {
    return <Nothing title="No profiles">They come once the frame was read.</Nothing>;
  }
  if (radial.error) return <Failure error={radial.error} onRetry={radial.refetch} />;
  if (!rings) return <Loading what="profiles" />;
  const xName = rings.q_inv_nm ? `q (${unit === "nm" ? "nm⁻¹" : "Å⁻¹"})` : "radius (pixels)";
  return (
    <div className={styles.profiles}>
      <div className={styles.head}>
        <h3>Radial profile</h3>
        <label>
          <input
            type="checkbox"
            checked={logarithmic}
            onChange={(event) => setLogarithmic(event.target.checked)}
          />{" "}
          log
        </label>
      </div>
      <Plot
        label={`Mean counts over ${xName}`}
        xLabel={xName}
        x={x}
        y={rings.intensity}
        logarithmic={logarithmic}
        onPoint={(place) => marked.set(place === null ? null : (rings.radius_px[place] ?? null))}
        testId="radial"
      />
      {!rings.geometry && (
        <p className="muted">Around the middle of the frame: its beam centre is not known.</p>
      )}
      <div className={styles.head}>
        <h3>Azimuthal profile</h3>
        <Range xName={xName} perUnit={perUnit} onChange={setRange} />
      </div>
      {azimuthal.error ? (
        <Failure error={azimuthal.error} onRetry={azimuthal.refetch} />
      ) : azimuthal.data ? (
        <Plot
          label="Mean counts over chi in degrees"
          xLabel="χ (degrees; 0 along columns, 90 along rows)"
          x={azimuthal.data.chi_deg}
          y={azimuthal.data.intensity}
          logarithmic={false}
          testId="azimuthal"
        />
      ) : (
        <Loading what="profile" />
      )}
    </div>
  );
}

function Range(props: {
  xName: string;
  perUnit: number;
  onChange: (range: [number, number] | null) => void;
}) {
  const [problem, setProblem] = useState(false);
  function submit(event: React.FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const said = new FormData(event.currentTarget);
    const [from, to] = [said.get("from"), said.get("to")].map((text) =>
      text === "" ? Number.NaN : Number(text) * props.perUnit,
    );
    const isEmpty = Number.isNaN(from) && Number.isNaN(to);
    const isRange = from !== undefined && to !== undefined && from >= 0 && to > from;
    setProblem(!isEmpty && !isRange);
    if (isEmpty) props.onChange(null);
    else if (isRange) props.onChange([from, to]);
  }
  return (
    <form className={styles.range} onSubmit={submit} noValidate>
      <input
        name="from"
        type="number"
        step="any"
        placeholder="from"
        aria-label={`From ${props.xName}`}
      />
      <input name="to" type="number" step="any" placeholder="to" aria-label={`To ${props.xName}`} />
      <button type="submit">Show</button>
      {problem && <span role="alert">“to” must lie above “from”.</span>}
    </form>
  );
}
