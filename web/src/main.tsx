import "./style.css";
import { render } from "preact";
import { App, prepare } from "./app.tsx";

void prepare().finally(() => render(<App />, document.getElementById("app")!));

// The page itself is there without a network; browsers allow this on secure origins only.
if ("serviceWorker" in navigator && import.meta.env.PROD) {
  // The page's policy wants a word for each address of a script.
  const trusted = (window as any).trustedTypes?.createPolicy("linnet", { createScriptURL: () => "/sw.js" });
  void navigator.serviceWorker.register(trusted?.createScriptURL("") ?? "/sw.js").catch(() => undefined);
}
