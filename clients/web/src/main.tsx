import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";
import { Refusal } from "./api/client";
import { isLoggedOut } from "./api/session";
import { App } from "./app";
import "./ui/tokens.css";
import "./ui/base.css";

/** Where a page's request finds nobody logged in, ask who is: that leads to the login. */
function onError(error: Error) {
  if (isLoggedOut(error)) queries.invalidateQueries({ queryKey: ["session"] });
}

const queries: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error, query) => {
      if (query.queryKey[0] !== "session") onError(error);
    },
  }),
  mutationCache: new MutationCache({ onError }),
  defaultOptions: {
    queries: {
      // A refusal stays one; where nobody answers, asking again may help.
      retry: (failures, error) =>
        failures < 3 && !(error instanceof Refusal && error.status > 0 && error.status < 500),
      refetchOnWindowFocus: false,
    },
  },
});

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <BrowserRouter>
        <App />
      </BrowserRouter>
    </QueryClientProvider>
  </StrictMode>,
);
