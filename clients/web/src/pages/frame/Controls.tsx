/** How the frame is displayed. */

import type { Domain } from "@h5web/lib";
import styles from "./Controls.module.css";
import { gradient } from "./colors";
import { SCALES, type Scale } from "./contrast";
import { type Geometry, RING_SOURCES, type RingSource, type Unit } from "./scattering";
import { type Change, COLOR_MAPS, type Display } from "./settings";

const RING_NAMES: Record<RingSource, string> = {
  none: "none",
  even: "evenly",
  AgBH: "AgBH",
  LaB6: "LaB₆",
  CeO2: "CeO₂",
};

/** Scale, contrast and colours; flips; with geometry units, centre and rings. */
export function Controls(props: {
  display: Display;
  onChange: Change;
  domain: Domain;
  geometry: Geometry | null;
}) {
  const { display, onChange } = props;
  const [low, high] = display.percentiles;
  const spacingUnit = display.unit === "nm" ? 1 : 10;
  return (
    <div className={styles.controls}>
      <Choice
        label="Scale"
        value={display.scale}
        options={Object.keys(SCALES) as Scale[]}
        onChange={(scale) => onChange({ scale })}
      />
      <Choice
        label="Colours"
        value={display.colorMap}
        options={COLOR_MAPS}
        onChange={(colorMap) => onChange({ colorMap })}
      />
      <div className={styles.contrast}>
        <span
          className={styles.bar}
          style={{ backgroundImage: gradient(display.colorMap, display.invert) }}
          aria-hidden="true"
        />
        <span className={styles.bounds}>
          <span>{short(props.domain[0])}</span>
          <span>{short(props.domain[1])}</span>
        </span>
        <label className={styles.slider}>
          darkest
          <input
            type="range"
            min={0}
            max={50}
            step={0.5}
            value={low}
            aria-valuetext={`${low}th percentile of live pixels`}
            onChange={(event) => onChange({ percentiles: [Number(event.target.value), high] })}
          />
          <output>{low} %</output>
        </label>
        <label className={styles.slider}>
          brightest
          <input
            type="range"
            min={50}
            max={100}
            step={0.1}
            value={high}
            aria-valuetext={`${high}th percentile of live pixels`}
            onChange={(event) => onChange({ percentiles: [low, Number(event.target.value)] })}
          />
          <output>{high} %</output>
        </label>
      </div>
      <div className={styles.toggles}>
        <Toggle label="Invert" on={display.invert} onChange={(invert) => onChange({ invert })} />
        <Toggle
          label="Mark masked"
          on={display.markMasked}
          onChange={(markMasked) => onChange({ markMasked })}
        />
        <Toggle
          label="Flip X"
          on={display.mirrored}
          onChange={(mirrored) => onChange({ mirrored })}
        />
        <Toggle
          label="Flip Y"
          title="Row 0 at the bottom, as calibration programs (PONI) show it"
          on={display.upsideDown}
          onChange={(upsideDown) => onChange({ upsideDown })}
        />
      </div>
      {props.geometry && (
        <div className={styles.toggles}>
          <Toggle
            label="Beam centre"
            on={display.center}
            onChange={(center) => onChange({ center })}
          />
          <Choice
            label="Rings"
            value={display.rings}
            options={RING_SOURCES}
            names={RING_NAMES}
            onChange={(rings) => onChange({ rings })}
          />
          {display.rings === "even" && (
            <label className={styles.choice}>
              every
              <input
                className={styles.number}
                type="number"
                min={0}
                step="any"
                placeholder="auto"
                value={display.spacing === null ? "" : display.spacing / spacingUnit}
                onChange={({ target }) => {
                  const spacing = Number(target.value) * spacingUnit;
                  onChange({ spacing: spacing > 0 ? spacing : null });
                }}
              />
            </label>
          )}
          <Choice
            label="q in"
            value={display.unit}
            options={["nm", "A"]}
            names={{ nm: "nm⁻¹", A: "Å⁻¹" } satisfies Record<Unit, string>}
            onChange={(unit) => onChange({ unit })}
          />
        </div>
      )}
    </div>
  );
}

function short(value: number): string {
  return Math.abs(value) >= 1e5 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

function Choice<T extends string>(props: {
  label: string;
  value: T;
  options: readonly T[];
  names?: Record<T, string>;
  onChange: (value: T) => void;
}) {
  return (
    <label className={styles.choice}>
      {props.label}
      <select
        value={props.value}
        onChange={(event) => {
          const chosen = props.options.find((option) => option === event.target.value);
          if (chosen !== undefined) props.onChange(chosen);
        }}
      >
        {props.options.map((option) => (
          <option key={option} value={option}>
            {props.names?.[option] ?? option}
          </option>
        ))}
      </select>
    </label>
  );
}

function Toggle(props: {
  label: string;
  title?: string;
  on: boolean;
  onChange: (on: boolean) => void;
}) {
  return (
    <label className={styles.toggle} title={props.title}>
      <input
        type="checkbox"
        checked={props.on}
        onChange={(event) => props.onChange(event.target.checked)}
      />
      {props.label}
    </label>
  );
}
