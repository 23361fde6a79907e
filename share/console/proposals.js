// Inbox, one proposal, proposing.
import { get, post, Failed } from "./api.js";
import { h, when, bytes, count, duration, panel, body, notice, remedy, command, table, proposalText, pill, failure } from "./dom.js";

const OPEN = new Set(["proposed", "complete", "ready", "running", "void"]);
const decisionOf = (item, member) => item.decisions.find((one) => one.member === member);
export const waitsForUs = (item, member) => {
  const mine = decisionOf(item, member);
  return ["proposed", "complete"].includes(item.state) && !!mine && !mine.counts && mine.rejected === undefined;
};

export function decisionText(one) {
  if (one.rejected !== undefined) return "said no";
  if (one.counts) return one.automatic ? `approved by the rule ${one.automatic}` : "approved";
  return one.why === "has not approved" ? "has not decided" : one.why;
}

function row(item) {
  return h("li", {}, h("a", { class: "row", href: `#/proposal/${item.id}` },
    h("span", { class: "name" }, `${item.kind} `, h("bdi", {}, item.title)), pill(item.state),
    h("span", { class: "more" }, `${item.id.slice(0, 12)} · by ${item.proposer} · `, when(item.time), " · ",
      item.decisions.map((one) => `${one.member}: ${decisionText(one)}`).join(" · "))));
}

function group(title, sub, items, empty) {
  return panel(title, sub, items.length ? h("ul", { class: "list" }, items.map(row)) : h("p", { class: "empty" }, empty));
}

export async function inbox(view) {
  const { proposals } = await get("/v1/proposals");
  const member = view.status.member;
  const ours = proposals.filter((one) => waitsForUs(one, member));
  const open = proposals.filter((one) => OPEN.has(one.state) && !ours.includes(one));
  const closed = proposals.filter((one) => !OPEN.has(one.state));
  view.title("Inbox", `${ours.length || "Nothing"} ${ours.length === 1 ? "waits" : ours.length ? "wait" : "waits"} for ${member}`);
  return [
    view.head("Inbox", "What members propose to run, and what became of it.",
      h("a", { class: "button", href: "#/propose" }, "Propose")),
    group("Waits for this member", ours.length ? count(ours.length) : "", ours, `Nothing waits for ${member}.`),
    open.length ? group("Under way", count(open.length), open, "") : null,
    group("Closed", closed.length ? count(closed.length) : "", closed.slice(0, 100), "Nothing has run yet."),
  ];
}

function decisions(item) {
  const has = (key) => item.decisions.some((one) => one[key]);
  return panel("Who decided how", "", table("Decisions", [
    ["Member", (one) => one.member],
    ["Decision", (one) => h("span", { class: `pill ${one.rejected !== undefined ? "bad" : one.counts ? "good" : ""}` }, decisionText(one))],
    ["When", (one) => (one.time ? when(one.time) : "")],
    ...(has("not_after") ? [["May run", (one) => (one.not_after ? [when(one.not_before), " to ", when(one.not_after)] : "")]] : []),
    ...(has("rejected") ? [["Reason", (one) => h("bdi", {}, one.rejected ?? "")]] : []),
  ], item.decisions));
}

function facts(item) {
  const list = (entries) => entries.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]);
  return panel("What it is", "", body(h("dl", { class: "facts" }, list([
    ["Proposed by", [item.proposer, ", ", when(item.time)]],
    ["May run", [when(item.not_before), " to ", when(item.not_after), item.times > 1 ? `, up to ${item.times} times` : ", once",
      item.every ? `, in each slot ${item.every}` : ""]],
    ["Identifier", h("span", { class: "mono" }, item.id)],
    ...(item.complete ? [["What is signed", h("span", { class: "mono" }, item.complete)]] : []),
    ["Signed bytes", bytes(item.bytes)],
    ...Object.entries(item.arguments).map(([name, value]) => [`Argument ${name}`, h("bdi", { class: "mono" }, value)]),
    ...item.secrets.map((one) => [`Secret ${one.name}`, `version ${one.version}${one.newest ? ", or a later one that its own runs make" : ""}`]),
    ...item.missing_inputs.map((one) => [`Missing input`, `${one.slot} of ${one.member}`]),
  ]))));
}

/// Both whole texts beside each other; long stretches that are the same are left out until asked for.
function sideBySide(lines) {
  const rows = [];
  for (let k = 0; k < lines.length;) {
    if (lines[k].mark === " ") { rows.push([lines[k], lines[k]]); k += 1; continue; }
    const gone = [], come = [];
    while (k < lines.length && lines[k].mark !== " ") { (lines[k].mark === "-" ? gone : come).push(lines[k]); k += 1; }
    for (let i = 0; i < Math.max(gone.length, come.length); ++i) rows.push([gone[i], come[i]]);
  }
  const same = ([a, b]) => a === b;
  const near = (k) => rows.slice(Math.max(0, k - 3), k + 4).some((one) => !same(one));
  const tbody = h("tbody", {});
  const line = ([a, b]) => h("tr", {},
    h("td", { class: "at" }, a ? a.before : ""),
    h("td", { class: a === b ? "" : a ? "gone" : "none" }, a ? [a === b ? "" : h("span", { "aria-label": "only before" }, "- "), a.text] : ""),
    h("td", { class: "at" }, b ? b.now : ""),
    h("td", { class: a === b ? "" : b ? "new" : "none" }, b ? [a === b ? "" : h("span", { "aria-label": "only now" }, "+ "), b.text] : ""));
  for (let k = 0; k < rows.length;) {
    let end = k;
    while (end < rows.length && same(rows[end]) && !near(end)) end += 1;
    if (end > k) {
      const hidden = rows.slice(k, end);
      const gap = h("tr", { class: "same" }, h("td", { colspan: "4" },
        h("button", { class: "plain", type: "button", onclick: () => gap.replaceWith(...hidden.map(line)) },
          `${count(hidden.length)} lines are the same: show them`)));
      tbody.append(gap);
      k = end;
    } else {
      tbody.append(line(rows[k]));
      k += 1;
    }
  }
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Differences" },
    h("table", { class: "diff" }, h("colgroup", {}, h("col", { class: "at" }), h("col", {}), h("col", { class: "at" }), h("col", {})),
      h("thead", {}, h("tr", {}, h("th", { class: "at", scope: "col" }, "#"), h("th", { scope: "col" }, "When it last ran"),
        h("th", { class: "at", scope: "col" }, "#"), h("th", { scope: "col" }, "Now"))), tbody));
}

function cost(item, runs) {
  const before = runs.filter((run) => run.kind === item.kind && run.phases.length);
  const like = before.find((run) => run.title === item.title) ?? before[0];
  if (!like) return panel("What it costs", "", body(h("p", { class: "sub" }, "Nothing of its kind has run here yet, so nothing was measured. What it does is in the text above.")));
  const sum = (key) => like.phases.reduce((total, one) => total + one[key], 0);
  return panel("What it costs", like.title === item.title ? "measured when it last ran here" : `measured at the last ${like.kind} here`, body(h("dl", { class: "facts" },
    h("dt", {}, "Time"), h("dd", {}, duration(Math.max(...like.phases.map((one) => one.start_seconds + one.seconds)))),
    h("dt", {}, "Sent by this member"), h("dd", {}, bytes(sum("bytes_sent"))),
    h("dt", {}, "AND gates"), h("dd", {}, count(sum("ands"))),
    h("dt", {}, "That run"), h("dd", {}, h("a", { href: `#/run/${like.id}` }, like.id.slice(0, 12))))));
}

function actions(item, member, people) {
  const mine = decisionOf(item, member);
  const go = (say, text, kind) => h("a", { class: `button ${kind}`, href: `/approve?proposal=${item.id}&say=${say}` }, text);
  const out = [];
  if (waitsForUs(item, member)) out.push(go("approve", people ? "Approve" : "How to approve", "main"), go("reject", "Reject", "no"));
  if (OPEN.has(item.state) && (item.proposer === member || mine?.counts)) {
    out.push(go("withdraw", item.proposer === member ? "Withdraw the proposal" : "Withdraw the approval", ""));
  }
  return out;
}

export async function proposal(view, id) {
  const [shown, diff, runs] = await Promise.all([get(`/v1/proposals/${id}`), get(`/v1/proposals/${id}/diff`), get("/v1/runs?limit=200")]);
  const item = shown.proposal;
  const { member, people } = view.status;
  view.title(`${item.kind} ${item.title}`, item.state);
  const own = runs.runs.filter((run) => run.proposal === item.id);
  return [
    view.head([`${item.kind} `, h("bdi", {}, item.title)], [pill(item.state), item.why ? ` ${item.why}` : ""], ...actions(item, member, people)),
    shown.problem ? notice("bad", "This member could not approve it as things stand.", h("p", {}, shown.problem)) : null,
    decisions(item), facts(item),
    panel("All of it, as it is signed", "marked: slots, which are filled inside the computation", proposalText(shown.text, "The proposal's text")),
    diff.lines ? panel("What is other than when it last ran", [h("a", { href: `#/proposal/${diff.before}` }, diff.before.slice(0, 12))],
      diff.lines.some((one) => one.mark !== " ") ? sideBySide(diff.lines) : h("p", { class: "empty" }, "Nothing but the time."))
      : panel("What is other than when it last ran", "", body(h("p", { class: "sub" }, "Nothing of this kind and title has run before."))),
    cost(item, runs.runs),
    own.length ? panel("Its runs", "", h("ul", { class: "list" }, own.map((run) => h("li", {}, h("a", { class: "row", href: `#/run/${run.id}` },
      h("span", { class: "name" }, run.id.slice(0, 12)), pill(run.state), h("span", { class: "more" }, when(run.started))))))) : null,
  ];
}

function field(name, title, help, input) {
  input.id = `field-${name}`;
  if (help) input.setAttribute("aria-describedby", `${input.id}-help`);
  return h("div", { class: "field" }, h("label", { for: input.id }, title), input, help ? h("p", { class: "sub", id: `${input.id}-help` }, help) : null);
}

export async function propose(view) {
  view.title("Propose", "");
  const url = h("input", { name: "url", type: "url", placeholder: "https://", autocomplete: "off" });
  const recipe = h("textarea", { name: "recipe", spellcheck: "false" });
  const given = h("textarea", { name: "arguments", spellcheck: "false" });
  const kind = h("select", { name: "kind" }, h("option", { value: "get" }, "An agreed GET"), h("option", { value: "call" }, "A recipe"));
  const until = h("input", { type: "datetime-local", name: "until" });
  const times = h("input", { type: "number", name: "times", min: "1", max: "1000", value: "1" });
  const every = h("input", { name: "every", placeholder: "Mon 08:00-10:00 +01:00", autocomplete: "off" });
  const ofGet = h("div", {}, field("url", "Address", "Fetched by all members together; every member gets the answer.", url));
  const ofCall = h("div", { hidden: true }, field("recipe", "Recipe", "The text of a recipe file: it goes to the other members.", recipe),
    field("arguments", "Arguments", "NAME=VALUE, one a line", given));
  kind.addEventListener("change", () => { ofGet.hidden = kind.value !== "get"; ofCall.hidden = kind.value !== "call"; });
  const outcome = h("div", { "aria-live": "polite" });
  const send = async (event) => {
    event.preventDefault();
    outcome.replaceChildren();
    try {
      const asked = { kind: kind.value, times: Number(times.value) };
      if (kind.value === "get") asked.url = url.value.trim();
      else {
        asked.recipe = recipe.value;
        asked.arguments = {};
        for (const line of given.value.split("\n").map((one) => one.trim()).filter(Boolean)) {
          const at = line.indexOf("=");
          if (at < 1) throw new Failed(400, { error: `Not NAME=VALUE: ${line}` });
          asked.arguments[line.slice(0, at)] = line.slice(at + 1);
        }
      }
      if (until.value) asked.not_after = Math.floor(new Date(until.value).getTime() / 1000);
      if (every.value.trim()) asked.every = every.value.trim();
      const made = await post("/v1/proposals", asked);
      location.hash = `#/proposal/${made.proposal.id}`;
    } catch (error) {
      outcome.replaceChildren(failure(error));
    }
  };
  return [
    view.head("Propose", "It goes to all members as text. Nothing runs before every member approved exactly these bytes."),
    panel("What", "", body(h("form", { onsubmit: send },
      field("kind", "Kind", "", kind), ofGet, ofCall,
      h("div", { class: "fields" }, field("until", "May run until", "Without it: for a week.", until),
        field("times", "How often at most", "", times), field("every", "Once in each slot", "Optional, at a fixed offset.", every)),
      outcome, h("div", { class: "actions" }, h("button", { class: "main", type: "submit" }, "Propose to all members"))))),
  ];
}
