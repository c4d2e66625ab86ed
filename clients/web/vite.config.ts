import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** `@h5web/lib` imports it and uses nothing of it; it compiles code as it loads, which the gateway's
    Content-Security-Policy forbids. For the same reason, make no arrays by `ndarray()`. */
const withoutNdarrayOps: Plugin = {
  name: "without-ndarray-ops",
  enforce: "pre",
  resolveId: (id) => (id === "ndarray-ops" ? "\0ndarray-ops" : null),
  load: (id) => (id === "\0ndarray-ops" ? "export default {};" : null),
};

export default defineConfig({
  plugins: [withoutNdarrayOps, react()],
  build: {
    // The gateway serves it from there.
    outDir: "../../service/scatterlens_service/static",
    emptyOutDir: true,
    chunkSizeWarningLimit: 2000,
    rolldownOptions: { input: ["index.html", "docs.html"] },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8000" } },
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"] },
});
