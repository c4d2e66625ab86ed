/** A key as its form holds it, and as the gateway takes it. */

import type { Schemas } from "../../api/client";

type KeyIn = Schemas["KeyIn"];
type Scope = Schemas["KeyInfo"]["scopes"][number];

export interface Draft {
  name: string;
  /** Id of an earlier key of the same person; empty: somebody new. */
  continues: string;
  role: KeyIn["role"];
  /** Scopes of the role that it shall not have. */
  without: Scope[];
  days: string;
  proposal: string;
  beamline: string;
}

export const EMPTY_DRAFT: Draft = {
  name: "",
  continues: "",
  role: "scientist",
  without: [],
  days: "90",
  proposal: "",
  beamline: "",
};

/** What to send for a draft; `allowed` are the scopes of its role. */
export function toKeyIn(draft: Draft, allowed: readonly Scope[]): KeyIn {
  const scopes = allowed.filter((scope) => !draft.without.includes(scope));
  return {
    name: draft.name.trim(),
    continues: draft.continues || null,
    role: draft.role,
    // A role may come to hold more later; a key that was given all of it is given that too.
    scopes: scopes.length === allowed.length ? null : scopes,
    expires_days: draft.days.trim() === "" ? null : Number(draft.days),
    proposal: draft.proposal.trim() || null,
    beamline: draft.beamline.trim() || null,
  };
}
