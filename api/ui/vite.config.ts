// The page is built into `GRIDTALLY_PAGE_OUT` (build.rs sets it), flat, under /ui/. `npm run dev` serves it with the API of a running
// instance: GRIDTALLY_SERVER, default http://127.0.0.1:8080.
import { defineConfig } from 'vite';

const server = process.env['GRIDTALLY_SERVER'] ?? 'http://127.0.0.1:8080';
const proxied = { target: server, changeOrigin: true, headers: { origin: server } };

export default defineConfig({
  base: '/ui/',
  build: {
    outDir: process.env['GRIDTALLY_PAGE_OUT'] ?? 'dist',
    emptyOutDir: true,
    assetsDir: '',
    // Everything is a file of its own: the Content-Security-Policy allows neither inline script nor data.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
    rollupOptions: { input: ['index.html', 'docs.html'] },
  },
  server: { proxy: { '/api': proxied, '/openapi.json': proxied, '/docs/auditors-guide': proxied, '/metrics': proxied } },
});
