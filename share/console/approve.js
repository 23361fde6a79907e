// One decision on one proposal: a page of its own, with nothing of the others.
import { get, post, isSignedIn } from "./api.js";
import { h, say, when, panel, body, notice, remedy, failure, command, proposalText, pill } from "./dom.js";
import * as passkey from "./passkey.js";

const SAYS = {
  approve: { title: "Approve", verb: "Approve", past: "approved", main: "main", text: "It may run once every member has approved these very bytes." },
  reject: { title: "Reject", verb: "Reject for good", past: "rejected", main: "no", text: "It is refused for good, at all members. The reason goes to them." },
  withdraw: { title: "Withdraw", verb: "Withdraw", past: "withdrawn", main: "", text: "What this member said is taken back. What is running goes on." },
};

const main = document.getElementById("main");
const asked = new URLSearchParams(location.search);
const id = asked.get("proposal") ?? "";
const kind = asked.get("say") ?? "";

function words(answer) {
  return panel("Its eight words", "of exactly the bytes that are signed", body(
    h("ol", { class: "words", "aria-label": "The eight words" }, answer.words.split(" ").map((one) => h("li", {}, one))),
    h("p", { class: "sub" }, "Whoever else decides sees the same words. Compare them by telephone: then no page and no machine showed one thing and has another signed."),
    h("p", { class: "mono sub" }, answer.digest)));
}

function passkeysOf(rule) {
  return rule.persons.filter((one) => one.roles.includes("approve") && one.keys.some((key) => key.kind !== "file")).map((one) => one.name);
}

/// Takes the person through it; every attempt has a new statement of the node.
function decision(what, item, names) {
  const reason = h("textarea", { id: "reason", maxlength: "1024", required: true });
  const person = h("select", { id: "person" }, names.map((name) => h("option", { value: name }, name)));
  const outcome = h("div", { "aria-live": "assertive" });
  const button = h("button", { class: what.main, type: "submit" }, `${what.verb} with a passkey`);
  const send = async (event) => {
    event.preventDefault();
    button.disabled = true;
    outcome.replaceChildren(h("p", {}, "Waiting for the passkey…"));
    try {
      const question = { decision: kind, person: person.value };
      if (kind === "reject") question.reason = reason.value;
      const ticket = await post(`/v1/proposals/${id}/ticket`, question);
      const signed = await passkey.sign(ticket.webauthn);
      const said = await post(`/v1/proposals/${id}/voice`, { ticket: ticket.ticket, person: person.value, webauthn: signed });
      const text = said.decided ? `This member ${what.past === "withdrawn" ? "has withdrawn" : `has ${what.past} it`}.` : `Counted: ${said.counted} of ${said.needed}. Others of this member still have to decide.`;
      form.replaceWith(notice("good", text, h("p", {}, h("a", { href: `/#/proposal/${item.id}` }, "To the proposal"))));
      say(text);
    } catch (error) {
      outcome.replaceChildren(notice("bad", passkey.words(error), remedy(error.remedy)));
      button.disabled = false;
    }
  };
  const form = h("form", { onsubmit: send },
    kind === "reject" ? h("div", { class: "field" }, h("label", { for: "reason" }, "Reason, for all members"), reason) : null,
    h("div", { class: "field" }, h("label", { for: "person" }, "Who you are"), person, h("p", { class: "sub" }, "A passkey of this person must be on this device, or in reach of it.")),
    outcome, h("div", { class: "actions" }, button, h("a", { class: "button", href: `/#/proposal/${item.id}` }, "Not now")));
  return form;
}

/// The change of the rule that waits, signed by one of its administrators.
async function showRule() {
  const [answer, status] = await Promise.all([get("/v1/people"), get("/v1/status")]);
  document.title = `Change of the rule - ${status.member} - Flexroom`;
  document.getElementById("place").replaceChildren(h("b", {}, status.member), " in room ", h("b", {}, status.room));
  document.getElementById("back").setAttribute("href", "/#/people");
  if (!answer.change) throw new Error("No change of the rule waits.");
  const names = answer.people.quorums.administer.of.filter((name) => answer.people.persons.some((one) => one.name === name && one.keys.some((key) => key.kind !== "file")));
  const person = h("select", { id: "person" }, names.map((name) => h("option", { value: name }, name)));
  const outcome = h("div", { "aria-live": "assertive" });
  const send = async (event) => {
    event.preventDefault();
    try {
      const ticket = await post("/v1/people/change/ticket", { person: person.value });
      if (ticket.text !== answer.change.text) throw new Error("Another change waits by now: read it first.");
      const signed = await passkey.sign(ticket.webauthn);
      const said = await post("/v1/people/change/voice", { ticket: ticket.ticket, person: person.value, webauthn: signed });
      const text = said.decided ? `Version ${said.version} of the rule is in force.` : `Counted: ${said.counted} of ${said.needed} administrators.`;
      form.replaceWith(notice("good", text, h("p", {}, h("a", { href: "/#/people" }, "To the people"))));
      say(text);
    } catch (error) {
      outcome.replaceChildren(notice("bad", passkey.words(error), remedy(error.remedy)));
    }
  };
  const form = h("form", { onsubmit: send }, h("div", { class: "field" }, h("label", { for: "person" }, "Who you are"), person), outcome,
    h("div", { class: "actions" }, h("button", { class: "main", type: "submit" }, "Sign with a passkey"), h("a", { class: "button", href: "/#/people" }, "Not now")));
  main.replaceChildren(
    h("div", { class: "head" }, h("div", {}, h("h1", { tabindex: "-1" }, `Who speaks for ${status.member}`),
      h("p", { class: "sub" }, `${answer.change.counted} of ${answer.change.needed} administrators have signed this rule; until `, when(answer.change.until)))),
    panel("The rule that is proposed", "", h("pre", { tabindex: "0", role: "region", "aria-label": "Its text" }, answer.change.text)),
    names.length ? panel("Sign it", "over exactly this rule, and the one before", body(form)) : "",
    panel("With a key file", "", body(command("flexroom people sign REQUEST --sign-with KEYFILE"))));
  main.querySelector("h1").focus();
}

function byCommand(item, people) {
  const target = item.id.slice(0, 16);
  const line = `flexroom proposal ${kind} ${target}${kind === "reject" ? " --reason TEXT" : ""}${people ? " --sign-with KEYFILE" : ""}`;
  return panel(people ? "With a key file" : "By command", "", body(
    h("p", {}, people ? "Who has a key file decides with a command, on a machine of her own: it fetches these bytes, shows them and signs them."
      : "This member has no rule of people: whoever may read the member's key decides, with a command that shows the same bytes and asks."),
    command(line), people ? null : h("p", { class: "sub" }, "A page never decides by who opened it. With people who have passkeys it is done here (docs/people.md).")));
}

async function show() {
  if (!isSignedIn()) throw Object.assign(new Error("This page is not signed in."), { remedy: "run `flexroom console` and open the link in this tab" });
  if (kind === "rule") return showRule();
  const what = SAYS[kind];
  if (!what || !/^[0-9a-f]{8,64}$/.test(id)) throw new Error("This address names no decision.");
  const [shown, status] = await Promise.all([get(`/v1/proposals/${id}`), get("/v1/status")]);
  const item = shown.proposal;
  document.title = `${what.title}: ${item.title} - ${status.member} - Flexroom`;
  document.getElementById("place").replaceChildren(h("b", {}, status.member), " in room ", h("b", {}, status.room));
  document.getElementById("back").setAttribute("href", `/#/proposal/${item.id}`);
  const place = h("div", {}, h("p", { class: "loading", role: "status" }, "Its words take a second…"));
  const names = status.people ? passkeysOf((await get("/v1/people")).people) : [];
  main.replaceChildren(
    h("div", { class: "head" }, h("div", {}, h("h1", { tabindex: "-1" }, `${what.title}: ${item.kind} `, h("bdi", {}, item.title)),
      h("p", { class: "sub" }, pill(item.state), ` ${what.text}`))),
    shown.problem ? notice("bad", "This member could not approve it as things stand.", h("p", {}, shown.problem)) : "",
    place,
    panel("All of it, as it is signed", "marked: slots, which are filled inside the computation", proposalText(shown.text, "The proposal's text")),
    panel("When", "", body(h("p", {}, "May run from ", when(item.not_before), " to ", when(item.not_after), item.times > 1 ? `, up to ${item.times} times.` : ", once."))),
    names.length ? panel(`Decide for ${status.member}`, "a signature of your passkey, over exactly this", body(decision(what, item, names))) : "",
    byCommand(item, status.people));
  main.querySelector("h1").focus();
  try {
    place.replaceChildren(words(await get(`/v1/proposals/${id}/words`)));
  } catch (error) {
    place.replaceChildren(failure(error));
  }
}

show().catch((error) => main.replaceChildren(h("h1", { tabindex: "-1" }, "Not shown"), failure(error)));
