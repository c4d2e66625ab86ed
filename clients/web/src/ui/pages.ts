/** The pages that the navigation offers. */

import type { Session } from "../api/session";

interface Page {
  to: string;
  name: string;
  /** Only who has it is offered the page. */
  scope?: Session["scopes"][number];
}

export const PAGES: Page[] = [
  { to: "/", name: "Live" },
  { to: "/search", name: "Search" },
  { to: "/review", name: "Review" },
  { to: "/models", name: "Models" },
  { to: "/training", name: "Training", scope: "train:run" },
  { to: "/admin", name: "Admin", scope: "admin" },
];
