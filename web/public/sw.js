// Keeps the page's own files, so that it opens without the server: chats of this browser can then be
// read. Answers of the server's interface are never kept.
const kCache = "linnet-page";
const mine = (path) => path === "/" || path === "/icon.svg" || path === "/manifest.webmanifest" || path.startsWith("/assets/");

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin || !mine(url.pathname)) return;
  event.respondWith((async () => {
    const cache = await caches.open(kCache);
    // Files of assets/ never change: their names hold their hash.
    const kept = url.pathname.startsWith("/assets/") ? await cache.match(url.pathname) : undefined;
    if (kept) return kept;
    try {
      const answer = await fetch(event.request);
      if (answer.ok) {
        if (url.pathname === "/") {
          // A new page: what it does not name is of an old one.
          const text = await answer.clone().text();
          for (const old of await cache.keys()) {
            const path = new URL(old.url).pathname;
            if (/^\/assets\/index-/.test(path) && !text.includes(path)) await cache.delete(old);
          }
        }
        await cache.put(url.pathname, answer.clone());
      }
      return answer;
    } catch (error) {
      const old = await cache.match(url.pathname);
      if (old) return old;
      throw error;
    }
  })());
});
