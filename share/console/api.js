// The node's API, as docs/api/openapi.json describes it. The token is of this tab alone, and no cookie.

const KEY = "flexroom.page";

export class Failed extends Error {
  constructor(status, object) {
    super(object.error || `the node answered ${status}`);
    this.status = status;
    this.remedy = object.remedy || "";
    this.kind = object.class || "";
  }
}

const token = () => sessionStorage.getItem(KEY) || "";
export const isSignedIn = () => token() !== "";
export const signOut = () => sessionStorage.removeItem(KEY);

async function send(method, path, given, signal) {
  const headers = token() ? { Authorization: `Bearer ${token()}` } : {};
  const options = { method, headers, signal, credentials: "omit", cache: "no-store", redirect: "error" };
  if (method === "POST") {
    headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(given ?? {});
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failed(0, { error: "The node does not answer.", remedy: "Is it running? `flexroom node status`", class: "network" });
  }
  if (answer.ok) return answer;
  const object = await answer.json().catch(() => ({}));
  if (answer.status === 401) signOut();
  throw new Failed(answer.status, object);
}

export const get = async (path) => (await send("GET", path)).json();
export const post = async (path, given) => (await send("POST", path, given)).json();
export const getBytes = async (path) => new Uint8Array(await (await send("GET", path)).arrayBuffer());

/// A link of `flexroom console`: its token stands behind the #, so that it is in no request line and no log.
export async function openLink() {
  const found = /^#open=([0-9a-f]{64})$/.exec(location.hash);
  if (!found) return;
  history.replaceState(null, "", "/#/inbox");
  signOut();
  sessionStorage.setItem(KEY, (await post("/v1/console/open", { link: found[1] })).token);
}

/// Events until the page goes; `state` hears "live" and "lost". Comes back by itself.
export async function follow(after, onEvent, state) {
  let pause = 500;
  for (;;) {
    try {
      const answer = await send("GET", `/v1/events?after=${after}`);
      state("live");
      pause = 500;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let pending = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        pending += value;
        for (let end = pending.indexOf("\n\n"); end >= 0; end = pending.indexOf("\n\n")) {
          const line = pending.slice(0, end).split("\n").find((one) => one.startsWith("data: "));
          pending = pending.slice(end + 2);
          if (!line) continue;
          const event = JSON.parse(line.slice(6));
          after = event.number;
          onEvent(event);
        }
      }
    } catch (error) {
      if (error.status === 401) return state("out");
    }
    state("lost");
    await new Promise((go) => setTimeout(go, pause));
    pause = Math.min(2 * pause, 8000);
    // A node that was restarted counts its events anew.
    const status = await get("/v1/status").catch((error) => error);
    if (status.status === 401) return state("out");
    if (status.last_event !== undefined && status.last_event < after) after = 0;
  }
}
