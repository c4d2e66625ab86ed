/** Arrays of the gateway: `.npy` files of 32-bit floats. */

import { Refusal, refusalOf } from "../../api/client";

export interface Grid {
  values: Float32Array;
  height: number;
  width: number;
}

const MAGIC = "\x93NUMPY";

/** Read a two-dimensional `.npy` of little-endian float32, without a copy of its values. */
export function parseNpy(bytes: ArrayBuffer): Grid {
  const view = new DataView(bytes);
  const text = (from: number, to: number) =>
    String.fromCharCode(...new Uint8Array(bytes, from, to - from));
  if (text(0, 6) !== MAGIC) throw new Error("This is no .npy file.");
  const long = view.getUint8(6) > 1;
  const start = long ? 12 : 10;
  const end = start + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = text(start, end);
  const shape = /'shape': \((\d+), (\d+)\)/.exec(header);
  if (!header.includes("'<f4'") || !header.includes("'fortran_order': False") || !shape) {
    throw new Error(`An array of another kind than expected: ${header.trim()}`);
  }
  const [height, width] = [Number(shape[1]), Number(shape[2])];
  return { values: new Float32Array(bytes, end, height * width), height, width };
}

/** Ask for an array until it is there: a worker may have yet to compute it (202). */
export async function fetchGrid(path: string, signal: AbortSignal): Promise<Grid> {
  for (;;) {
    const answer = await fetch(path, { signal }).catch((error: unknown) => {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new Refusal(0, "The service does not answer", "", "Check the network; try again.");
    });
    if (!answer.ok) throw await refusalOf(answer);
    if (answer.status !== 202) return parseNpy(await answer.arrayBuffer());
    await new Promise((wake) => setTimeout(wake, 500));
    signal.throwIfAborted();
  }
}
