/** The newest scans, each a way to its frames and its timeline. */

import { useQuery } from "@tanstack/react-query";
import { api, dataOf } from "../../api/client";
import styles from "./Scans.module.css";

const MOST = 8;

export interface ScanChoice {
  scan: string;
  /** Empty where none was told and others have a scan of that name, too. */
  proposal?: string;
  beamline?: string;
}

/** Row of buttons; nothing where frames came without a scan. */
export function Scans(props: {
  beamline?: string;
  proposal?: string;
  onChoose: (scan: ScanChoice) => void;
}) {
  const { beamline, proposal } = props;
  const { data } = useQuery({
    queryKey: ["scans", beamline, proposal],
    queryFn: () =>
      dataOf(api.GET("/api/v1/scans", { params: { query: { beamline, proposal, limit: MOST } } })),
    refetchInterval: 5_000,
  });
  const scans = data?.items ?? [];
  /** A scan belongs to its proposal and beamline, which its name alone may not tell. */
  function choiceOf({ scan, proposal, beamline }: (typeof scans)[number]): ScanChoice {
    const none = scans.filter((one) => one.scan === scan).length > 1 ? "" : undefined;
    return { scan, proposal: proposal ?? none, beamline: beamline ?? none };
  }
  if (scans.length === 0) return null;
  return (
    <section className={styles.scans} aria-label="Newest scans">
      {scans.map((scan) => (
        <button
          key={`${scan.scan} ${scan.proposal} ${scan.beamline}`}
          type="button"
          title={[scan.beamline, scan.proposal].filter(Boolean).join(" · ")}
          onClick={() => props.onChoose(choiceOf(scan))}
        >
          {scan.scan} <span className="muted">{scan.frames.toLocaleString()}</span>
        </button>
      ))}
    </section>
  );
}
