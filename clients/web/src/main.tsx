import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";
import { Refusal } from "./api/client";
import { App } from "./app";
import "./ui/tokens.css";
import "./ui/base.css";

const queries = new QueryClient({
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
