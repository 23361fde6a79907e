// The page: which view, who is asked, what is live.
import { get, post, openLink, isSignedIn, signOut, follow } from "./api.js";
import { h, say, notice, remedy, failure, command } from "./dom.js";
import * as proposals from "./proposals.js";
import * as room from "./room.js";
import * as people from "./people.js";

const VIEWS = [
  ["inbox", "Inbox", proposals.inbox], ["runs", "Runs", room.runs], ["secrets", "Secrets", room.secrets],
  ["room", "Room", room.room], ["log", "Log", room.log], ["people", "People", people.people],
];
const OTHERS = { proposal: ["inbox", proposals.proposal], propose: ["inbox", proposals.propose], run: ["runs", room.run] };

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const live = document.getElementById("live");
let status = {};
let waiting = 0, findings = 0;
let connection = "live";
let shownNow = "";
let steady = false;
let turn = 0;

function showLive() {
  const busy = status.doing && status.doing !== "idle";
  const text = connection !== "live" ? "Not live: the node does not answer" : busy ? `${status.doing}${status.phase ? `: ${status.phase}` : ""}` : "Live";
  if (live.dataset.text === text) return;
  live.dataset.text = text;
  live.replaceChildren(h("span", { class: `dot ${connection !== "live" ? "bad" : busy ? "busy" : "good"}` }), text);
}

function showNav(current) {
  const count = { inbox: waiting, room: findings };
  const word = { inbox: "wait for this member", room: "findings" };
  nav.hidden = false;
  nav.replaceChildren(h("ul", {}, VIEWS.map(([name, title]) => h("li", {}, h("a", { href: `#/${name}`, "aria-current": name === current ? "page" : null },
    title, count[name] ? h("span", { class: `count ${name === "room" ? "bad" : ""}`, "aria-label": `${count[name]} ${word[name]}` }, count[name]) : null)))));
}

function showPlace() {
  document.getElementById("place").replaceChildren(h("b", {}, status.member), " in room ", h("b", {}, status.room), ` · you are ${status.you} · `,
    h("button", { class: "plain", type: "button", onclick: leave }, "Sign out"));
}

async function leave() {
  await post("/v1/console/close").catch(() => {});
  signOut();
  location.reload();
}

function showSignIn(error) {
  nav.hidden = true;
  live.replaceChildren();
  document.getElementById("place").replaceChildren();
  document.title = "Sign in - Flexroom";
  main.replaceChildren(h("h1", { tabindex: "-1" }, "Sign in"),
    error ? notice("bad", error.message, remedy(error.remedy)) : null ?? "",
    h("p", {}, "This page is opened by a link that works once. On this machine, run"), command("flexroom console"),
    h("p", { class: "sub" }, "and open the link that it prints, within a minute. You are then whoever ran it, in this tab, for twelve hours."));
}

const view = {
  get status() { return status; },
  width: () => Math.max(260, Math.min(main.clientWidth - 74, 1000)),
  steady() { steady = true; },
  title(title, sub) {
    document.title = `${title} - ${status.member} - Flexroom`;
    view.spoken = [title, sub].filter(Boolean).join(", ");
  },
  head: (title, sub, ...actions) => h("div", { class: "head" },
    h("div", {}, h("h1", { tabindex: "-1" }, title), h("p", { class: "sub" }, sub)), actions.length ? h("div", { class: "actions" }, actions) : null),
};

async function refreshStatus() {
  const [now, list, health] = await Promise.all([get("/v1/status"), get("/v1/proposals"), get("/v1/health")]);
  status = now;
  waiting = list.proposals.filter((one) => proposals.waitsForUs(one, status.member)).length;
  findings = health.findings.filter((one) => one.level === "bad").length;
  showPlace();
  showLive();
}

/// `fresh`: somebody went there; else it is shown anew where they are, and stays as it was if it fails.
async function show(fresh) {
  const [, name = "inbox", id = ""] = /^#\/([a-z]+)(?:\/([0-9a-f]{1,64}))?$/.exec(location.hash) ?? [];
  const found = VIEWS.find(([one]) => one === name);
  const [tab, make] = name === "log" && id ? ["log", room.logEntry] : found ? [name, found[2]] : OTHERS[name] ?? ["inbox", proposals.inbox];
  const mine = ++turn;
  if (fresh) {
    steady = name === "propose";
    showNav(tab);
    main.setAttribute("aria-busy", "true");
    if (shownNow) main.replaceChildren(h("p", { class: "loading" }, "Loading…"));
  } else if (steady) {
    return;
  }
  try {
    await refreshStatus();
    const parts = (await make(view, id)).flat(Infinity).filter(Boolean);
    if (mine !== turn) return;
    showNav(tab);
    keepPlace(fresh, () => main.replaceChildren(...parts));
    shownNow = location.hash;
    if (fresh) say(view.spoken ?? "");
  } catch (error) {
    if (mine !== turn) return;
    if (error.status === 401) return showSignIn(error);
    if (fresh) main.replaceChildren(h("h1", { tabindex: "-1" }, "Not shown"), failure(error, () => show(true)));
  } finally {
    main.removeAttribute("aria-busy");
  }
}

/// What had the focus has it again: by its address, name or text.
function keepPlace(fresh, change) {
  const held = document.activeElement;
  const key = (one) => one.getAttribute("href") || one.id || one.getAttribute("aria-label") || one.textContent;
  const was = held && main.contains(held) && held !== main ? [held.tagName, key(held)] : null;
  const open = [...main.querySelectorAll("details")].map((one) => one.open);
  change();
  if (fresh) {
    if (shownNow) main.querySelector("h1")?.focus();
    window.scrollTo(0, 0);
    return;
  }
  main.querySelectorAll("details").forEach((one, k) => { one.open = open[k] ?? false; });
  if (was) [...main.querySelectorAll(was[0])].find((one) => key(one) === was[1])?.focus({ preventScroll: true });
}

let soon = 0;
function again() {
  clearTimeout(soon);
  soon = setTimeout(() => show(false), 250);
}

async function start() {
  try {
    await openLink();
  } catch (error) {
    return showSignIn(error);
  }
  if (!isSignedIn()) return showSignIn();
  window.addEventListener("hashchange", () => (location.hash.startsWith("#open=") ? location.reload() : show(true)));
  window.addEventListener("resize", again);
  document.querySelector(".skip").addEventListener("click", (event) => { // no address of a view
    event.preventDefault();
    main.focus();
  });
  await show(true);
  if (!isSignedIn()) return;
  follow(status.last_event ?? 0, again, (state) => {
    if (state === "out") return showSignIn({ message: "This page is not signed in any more." });
    const back = connection !== "live" && state === "live";
    connection = state;
    showLive();
    if (back) again();
  });
  setInterval(() => {
    if (status.doing && status.doing !== "idle") again();
  }, 1000);
}

start();
