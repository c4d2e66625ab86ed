/** The newest scans, each a way to its frames and its timeline. */

import { useQuery } from "@tanstack/react-query";
import { api, dataOf } from "../../api/client";
import styles from "./Scans.module.css";

const MOST = 8;

/** Row of buttons; nothing where frames came without a scan. */
export function Scans(props: {
  beamline?: string;
  proposal?: string;
  onChoose: (scan: string) => void;
}) {
  const { beamline, proposal } = props;
  const { data } = useQuery({
    queryKey: ["scans", beamline, proposal],
    queryFn: () =>
      dataOf(api.GET("/api/v1/scans", { params: { query: { beamline, proposal, limit: MOST } } })),
    refetchInterval: 5_000,
  });
  const scans = data?.items ?? [];
  if (scans.length === 0) return null;
  return (
    <section className={styles.scans} aria-label="Newest scans">
      {scans.map((scan) => (
        <button
          key={`${scan.scan} ${scan.proposal} ${scan.beamline}`}
          type="button"
          title={[scan.beamline, scan.proposal].filter(Boolean).join(" · ")}
          onClick={() => props.onChoose(scan.scan)}
        >
          {scan.scan} <span className="muted">{scan.frames.toLocaleString()}</span>
        </button>
      ))}
    </section>
  );
}
