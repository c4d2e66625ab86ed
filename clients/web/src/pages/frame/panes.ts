/** Which maps of which models are shown; part of the address, so that a link shows the same. */

import { useSearchParams } from "react-router";
import { type MapChoice, mapOf, textOf } from "./maps";

/** What one pane shows. */
export interface Pane {
  /** Version of the model; of production where none is chosen. */
  version: string | null;
  map: MapChoice | null;
}

function read(address: URLSearchParams, suffix: string): Pane {
  return { version: address.get(`by${suffix}`), map: mapOf(address.get(`map${suffix}`)) };
}

/** The panes of the address (one or two), and ways to change them. */
export function usePanes() {
  const [address, setAddress] = useSearchParams();
  const panes = [read(address, "")];
  if (address.has("beside")) panes.push(read(address, "2"));
  function change(place: number, part: Partial<Pane>) {
    const suffix = place === 0 ? "" : "2";
    setAddress(
      (before) => {
        const after = { ...read(before, suffix), ...part };
        if (after.map) before.set(`map${suffix}`, textOf(after.map));
        else before.delete(`map${suffix}`);
        if (after.version) before.set(`by${suffix}`, after.version);
        else before.delete(`by${suffix}`);
        return before;
      },
      { replace: true },
    );
  }
  function mark(key: string, isOn: boolean, alone: string[] = []) {
    setAddress(
      (before) => {
        if (isOn) before.set(key, "1");
        else for (const one of [key, ...alone]) before.delete(one);
        return before;
      },
      { replace: true },
    );
  }
  return {
    panes,
    change,
    setBeside: (beside: boolean) => mark("beside", beside, ["map2", "by2"]),
    correcting: address.has("correct"),
    setCorrecting: (correcting: boolean) => mark("correct", correcting),
  };
}
