import { gzipSync } from "node:zlib";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Plugin } from "vite";

// The server embeds each file compressed; only these are kept.
const compress: Plugin = {
  name: "compress",
  apply: "build",
  writeBundle(options) {
    for (const entry of readdirSync(options.dir!, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
      rmSync(path);
    }
  },
};

// `npm run dev` shows the page of a server at LINNET_URL.
const server = process.env.LINNET_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    emptyOutDir: true,
    license: { fileName: "licences.txt" },
  },
  plugins: [compress],
  server: { proxy: Object.fromEntries(["/v1", "/api", "/metrics", "/health", "/openapi.json"].map((path) =>
    [path, { target: server, headers: { host: new URL(server).host } }])) },
});
