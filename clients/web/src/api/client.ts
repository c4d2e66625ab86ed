/** Requests to the gateway, typed by its OpenAPI document. */

import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
export type Annotation = Schemas["Annotation"];
export type Model = Schemas["ModelInfo"];

/** A refusal, as the problem document of the gateway tells it. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    detail: string,
    readonly remedy: string,
  ) {
    super(detail || title);
    this.name = "Refusal";
  }
}

interface Problem {
  type?: string;
  title?: string;
  detail?: string;
  remedy?: string;
}

const SESSION = "/api/v1/session";
let csrfToken = "";
const doubters = new Set<() => void>();

/** Hear when the session may have ended; gives back how to stop. */
export function onSessionDoubt(listener: () => void) {
  doubters.add(listener);
  return () => {
    doubters.delete(listener);
  };
}

/** Say that a request was refused as if nobody were logged in. */
export function doubtSession() {
  for (const listener of doubters) listener();
}

/** What every request that changes something must carry; known once one is logged in. */
export function setCsrfToken(token: string) {
  csrfToken = token;
}

/** Headers of a request that is not made by `api`, such as an upload. */
export const csrfHeaders = () => ({ "X-CSRF-Token": csrfToken });

/** `fetch` that says in plain words when nobody answers, and that outlives a login elsewhere. */
async function fetchOrRefuse(request: Request): Promise<Response> {
  const again = request.method === "GET" ? null : request.clone();
  const response = await fetchPlainly(request);
  if (again === null || response.status !== 403) return response;
  const problem: Problem = await response
    .clone()
    .json()
    .catch(() => ({}));
  if (problem.type !== "csrf") return response;
  // Another tab logged in since: its cookie is sent, and wants its own token.
  const session = await fetchPlainly(new Request(SESSION));
  if (!session.ok) return response;
  setCsrfToken((await session.json()).csrf ?? "");
  again.headers.set("X-CSRF-Token", csrfToken);
  return fetchPlainly(again);
}

async function fetchPlainly(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refusal(
      0,
      "The service does not answer",
      "",
      "Check the network and that the service runs; this page tries again by itself.",
    );
  }
}

export const api = createClient<paths>({ baseUrl: "/", fetch: fetchOrRefuse });

api.use({
  onRequest({ request }) {
    if (request.method !== "GET") request.headers.set("X-CSRF-Token", csrfToken);
    return request;
  },
  async onResponse({ request, response }) {
    if (response.status === 401 && !request.url.endsWith(SESSION)) doubtSession();
    if (!response.ok) throw await refusalOf(response);
    return response;
  },
});

/** The refusal that an answer carries. */
export async function refusalOf(response: Response): Promise<Refusal> {
  const problem: Problem = await response.json().catch(() => ({}));
  return new Refusal(
    response.status,
    problem.title ?? `The service answered ${response.status}`,
    problem.detail ?? "",
    problem.remedy ?? "",
  );
}

/** The body of an answer that has one. */
export async function dataOf<T>(answer: Promise<{ data?: T }>): Promise<T> {
  const { data } = await answer;
  if (data === undefined) throw new Refusal(204, "The answer is empty", "", "Try again.");
  return data;
}
