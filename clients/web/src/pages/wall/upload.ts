/** Sending files from the browser. */

import { csrfHeaders, refusalOf, type Schemas } from "../../api/client";

export interface Sent {
  filename: string;
  /** What went wrong, with the remedy; empty if nothing did. */
  problem: string;
}

/** Send one file as it is; a refusal becomes words, so that others go on. */
export async function sendFile(file: File): Promise<Sent> {
  const address = `/api/v1/frames?filename=${encodeURIComponent(file.name)}`;
  const headers = { ...csrfHeaders(), "Content-Type": "application/octet-stream" };
  try {
    const response = await fetch(address, { method: "POST", body: file, headers });
    if (!response.ok) {
      const refusal = await refusalOf(response);
      return { filename: file.name, problem: `${refusal.message} ${refusal.remedy}`.trim() };
    }
    const { items }: Schemas["Submission"] = await response.json();
    const refused = items.find((item) => item.error);
    return { filename: file.name, problem: refused?.error?.detail ?? "" };
  } catch {
    return { filename: file.name, problem: "The service does not answer; try again." };
  }
}
