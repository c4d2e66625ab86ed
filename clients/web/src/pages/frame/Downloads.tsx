/** The frame as files. */

import type { Model } from "../../api/client";
import styles from "./Downloads.module.css";
import { type MapChoice, pathOf, textOf } from "./maps";

/** A menu of links; the overlay's only while one is shown. */
export function Downloads(props: {
  frameId: string;
  name: string;
  model: Model | undefined;
  map: MapChoice | null;
}) {
  const base = `/api/v1/frames/${props.frameId}`;
  const stem = props.name.replace(/\.[^.]*$/, "");
  const links: [text: string, path: string, file: string][] = [
    ["File as it was sent", "raw", props.name],
    ["All pixels (npy, masked = NaN)", "pixels.npy?wait=30", `${stem}.npy`],
    ["Picture (PNG)", "preview.png", `${stem}.png`],
    ["NeXus with results and labels", "nexus?wait=30", `${stem}.nxs`],
  ];
  if (props.map && props.model) {
    const path = pathOf(props.map);
    const query = `model=${props.model.version}${props.map.kind === "gradient" ? "&wait=30" : ""}`;
    const file = `${stem}-${textOf(props.map).replaceAll(":", "-")}`;
    links.push(
      ["Overlay (PNG)", `${path}.png?${query}`, `${file}.png`],
      ["Overlay (npy)", `${path}.npy?${query}`, `${file}.npy`],
    );
  }
  return (
    <details className={styles.downloads}>
      <summary className="button">Download</summary>
      <ul>
        {links.map(([text, path, file]) => (
          <li key={path}>
            <a href={`${base}/${path}`} download={file}>
              {text}
            </a>
          </li>
        ))}
      </ul>
    </details>
  );
}
