// Runs, secrets, the room and its health, the log, people.
import { get, getBytes } from "./api.js";
import { h, when, bytes, count, duration, panel, body, notice, remedy, table, proposalText, pill, command } from "./dom.js";
import { timeline } from "./timeline.js";

const SHOWN_BYTES = 256 * 1024;

function save(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

export function progress(status) {
  if (!status.doing || status.doing === "idle") return null;
  return panel("Now", status.doing, body(h("p", {}, status.phase || status.doing),
    h("progress", { max: "1", value: status.share ?? 0, "aria-label": "share of the run that is done" }),
    h("p", { class: "sub" }, `${Math.round(100 * (status.share ?? 0))} %`)));
}

export async function runs(view) {
  const list = (await get("/v1/runs?limit=200")).runs;
  view.title("Runs", `${list.length} runs`);
  return [
    view.head("Runs", "What this member's node took part in, newest first."),
    progress(view.status),
    panel("Runs", list.length ? count(list.length) : "", list.length ? h("ul", { class: "list" }, list.map((run) => h("li", {},
      h("a", { class: "row", href: `#/run/${run.id}` }, h("span", { class: "name" }, `${run.kind} `, h("bdi", {}, run.title)), pill(run.state),
        h("span", { class: "more" }, when(run.started), run.status ? ` · HTTP ${run.status} · ${bytes(run.body_bytes)}` : "", run.detail ? ` · ${run.detail}` : "")))))
      : h("p", { class: "empty" }, "Nothing has run yet. What all members approved runs by itself.")),
  ];
}

function result(run) {
  if (run.state === "running" || !run.status) return null;
  const place = h("div", {});
  const failed = (error) => place.replaceChildren(notice("bad", error.message, remedy(error.remedy)));
  const fetchBytes = () => getBytes(`/v1/runs/${run.id}/result`);
  const show = async () => {
    const content = await fetchBytes();
    try {
      if (content.length > SHOWN_BYTES) throw new Error("too long");
      const text = new TextDecoder("utf-8", { fatal: true }).decode(content);
      place.replaceChildren(h("pre", { tabindex: "0", role: "region", "aria-label": "The answer" }, text || "(empty)"));
    } catch {
      place.replaceChildren(h("p", { class: "empty" }, content.length > SHOWN_BYTES ? "Too long to show here: save it." : "These bytes are no text: save them."));
    }
  };
  return panel("Result", `HTTP ${run.status}, ${bytes(run.body_bytes)}, as the service sent it`, body(h("div", { class: "actions" },
    h("button", { type: "button", onclick: () => show().catch(failed) }, "Show"),
    h("button", { type: "button", onclick: () => fetchBytes().then((content) => save(`run-${run.id.slice(0, 12)}`, "application/octet-stream", content)).catch(failed) }, "Save"))), place);
}

export async function run(view, id) {
  const one = (await get(`/v1/runs/${id}`)).run;
  view.title(`Run ${one.id.slice(0, 12)}`, one.state);
  const seconds = one.ended > one.started ? one.ended - one.started : 0;
  return [
    view.head([`${one.kind} `, h("bdi", {}, one.title)], [pill(one.state), one.detail ? ` ${one.detail}` : ""],
      h("a", { class: "button", href: `#/proposal/${one.proposal}` }, "Its proposal")),
    one.state === "unknown" ? notice("warn", "It may have been carried out.", h("p", {}, "The node was stopped after something may have left. It never tries this run again: look at the service what became of it.")) : null,
    one.state === "running" ? progress(view.status) : null,
    panel("Run", "", body(h("dl", { class: "facts" }, h("dt", {}, "Identifier"), h("dd", { class: "mono" }, one.id), h("dt", {}, "Began"), h("dd", {}, when(one.started)),
      h("dt", {}, "Ended"), h("dd", {}, when(one.ended), seconds ? `, after ${duration(seconds)}` : ""), h("dt", {}, "Which"), h("dd", {}, `number ${one.index + 1} of its proposal`)))),
    result(one),
    one.phases.length ? panel("Timeline", "of this member", body(timeline(one.phases, view.width(), "Timeline of the run")),
      h("details", {}, h("summary", {}, "The figures"), table("Phases", [
        ["Phase", (p) => p.name], ["Begins", (p) => duration(p.start_seconds), "num"], ["Takes", (p) => duration(p.seconds), "num"],
        ["Sent", (p) => bytes(p.bytes_sent), "num"], ["Half rounds", (p) => count(p.half_rounds), "num"], ["AND gates", (p) => count(p.ands), "num"]], one.phases))) : null,
  ];
}

export async function secrets(view) {
  const [stored, ledger] = await Promise.all([get("/v1/secrets"), get("/v1/leaks")]);
  view.title("Secrets", `${stored.secrets.length} secrets`);
  return [
    view.head("Secrets", "Stored as shares of all members: names, versions and purposes. No value is ever here, nor at any one member."),
    panel("Stored", stored.secrets.length ? count(stored.secrets.length) : "", stored.secrets.length ? table("Secrets", [
      ["Name", (s) => h("bdi", {}, s.name)], ["Version", (s) => s.version, "num"], ["Kind", (s) => [s.kind, s.class ? `, ${s.class}` : ""]],
      ["Length", (s) => bytes(s.bytes), "num"], ["For", (s) => s.purposes.join(", ") || "nothing"], ["Provider", (s) => s.provider],
      ["Known to", (s) => s.known_to], ["Entropy", (s) => `${s.entropy} bits`, "num"]], stored.secrets)
      : h("p", { class: "empty" }, "No secret is stored. `flexroom secret` stores one, with all members and the nodes stopped.")),
    panel("Leak ledger", "what tests on short secrets have told their services", ledger.accounts.length ? table("Leak ledger", [
      ["Account", (a) => a.account], ["Booked", (a) => `${a.bits} of ${a.most} bits`, "num"],
      ["Share", (a) => h("meter", { min: "0", max: a.most, value: a.bits, "aria-label": `${a.bits} of ${a.most} bits` })]], ledger.accounts)
      : h("p", { class: "empty" }, "Nothing is booked: no test on a short secret has run.")),
  ];
}

const hex = (text) => h("span", { class: "mono" }, text.length > 16 ? `${text.slice(0, 16)}…` : text);

export async function room(view) {
  const [members, health, status] = await Promise.all([get("/v1/members"), get("/v1/health"), get("/v1/status")]);
  const bad = health.findings.filter((one) => one.level === "bad").length;
  view.title("Room", health.findings.length ? `${health.findings.length} findings` : "all is well");
  const card = (name, value, sub) => h("dl", { class: "card" }, h("dt", {}, name), h("dd", {}, value, sub ? h("div", { class: "sub" }, sub) : null));
  const peer = (name) => members.peers.find((one) => one.member === name);
  return [
    view.head(status.room, `This is ${status.member}'s node, version ${status.version}.`),
    panel("Health", health.findings.length ? `${bad} to mend, ${health.findings.length - bad} to know` : "", health.findings.length
      ? body(health.findings.map((one) => notice(one.level === "bad" ? "bad" : "warn", `${one.what}: ${one.text}`, remedy(one.remedy))))
      : h("p", { class: "empty" }, "All is well: every member is reached, the epoch is sound.")),
    h("div", { class: "cards" },
      card("Epoch", status.burned ? "burned" : status.epoch ? "in force" : "none", health.epoch_made ? ["since ", when(health.epoch_made)] : ""),
      card("Left unfinished", `${count(status.dirty)} runs`, `life ${count(status.life)}, strikes ${count(status.strikes)}`),
      card("Stock", `${count(health.stock.triples)} triples`, `${bytes(health.stock.bytes)} of ${bytes(health.stock.most_bytes)} on disk`),
      card("Certificate", status.certificate_expires ? when(status.certificate_expires) : "no end", ["until then; ", hex(status.certificate)]),
      card("Sessions", count(status.sessions), `${count(status.failures)} failed since the node began`)),
    panel("Members", "", table("Members", [
      ["Member", (m) => m.name], ["Node", (m) => (m.here ? h("span", { class: "pill good" }, "here") : h("span", { class: `pill ${peer(m.name)?.up ? "good" : "bad"}` }, peer(m.name)?.up ? "reached" : "not reached"))],
      ["Since", (m) => (peer(m.name)?.since ? when(peer(m.name).since) : "")], ...(members.members.some((m) => m.address) ? [["Address", (m) => h("span", { class: "mono" }, m.address)]] : []), ["Version", (m) => (m.here ? status.version : peer(m.name)?.version ?? "")],
      ["Certificate", (m) => hex(m.certificate)], ["Key", (m) => hex(m.key)]], members.members)),
    panel("What is done elsewhere", "", body(h("p", { class: "sub" }, "Making and joining a room, changing its members and refreshing the epoch are commands, run at all members in the same minute:"), command("flexroom room --help"))),
  ];
}

const PAGE = 100;
export async function log(view) {
  const total = (await get("/v1/log?limit=1")).total;
  view.title("Log", `${total} entries`);
  view.steady(); // somebody may be typing
  const list = h("div", {});
  const search = h("input", { type: "search", id: "log-search", "aria-label": "Search in the log", placeholder: "Text, outcome, or first digits of a proposal" });
  const entry = (one) => h("li", {}, h("a", { class: "row", href: `#/log/${one.number}` },
    h("span", { class: "name" }, `${one.number}  `, h("bdi", {}, one.text.split("\n")[0].slice(0, 160))), h("span", { class: "pill" }, one.outcome),
    h("span", { class: "more" }, when(one.time), one.joint ? " · signed by all members" : " · this member's own", one.status ? ` · HTTP ${one.status}` : "", one.proposal ? ` · ${one.proposal.slice(0, 12)}` : "")));
  const load = async () => {
    const wanted = search.value.trim();
    const newest = async () => {
      const entries = (await get(`/v1/log?from=${Math.max(1, total - PAGE + 1)}&limit=${PAGE}`)).entries;
      return { entries: entries.reverse(), sub: total > PAGE ? `the newest ${PAGE} of ${count(total)}` : `${count(total)}, newest first` };
    };
    const found = async () => {
      const answer = await get(`/v1/log?limit=1000&q=${encodeURIComponent(wanted)}`);
      return { entries: answer.entries.reverse(), sub: `${answer.entries.length}${answer.next ? " or more" : ""} with “${wanted}”` };
    };
    const { entries, sub } = wanted ? await found() : await newest();
    list.replaceChildren(panel("Entries", sub, entries.length ? h("ul", { class: "list" }, entries.map(entry)) : h("p", { class: "empty" }, wanted ? "No entry has that." : "The log is empty.")));
  };
  const failed = (error) => list.replaceChildren(notice("bad", error.message, remedy(error.remedy)));
  await load();
  return [
    view.head("Log", "A chain of hashes, checked from its beginning each time it is shown. Joint entries are signed by all members.",
      h("button", { type: "button", onclick: () => getBytes("/v1/log/export").then((content) => save("log.ndjson", "application/x-ndjson", content)).catch(failed) }, "Export")),
    h("form", { class: "search", role: "search", onsubmit: (event) => { event.preventDefault(); load().catch(failed); } }, search, h("button", { type: "submit" }, "Search")),
    list,
  ];
}

export async function logEntry(view, number) {
  const one = await get(`/v1/log/${number}`);
  view.title(`Log entry ${one.number}`, "");
  return [view.head(`Log entry ${one.number}`, h("a", { href: "#/log" }, "All entries")), panel("All of it", "", proposalText(one.text, "The entry"))];
}
