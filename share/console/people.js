// The member's people: the rule, a change that waits, and making a passkey.
import { get, post } from "./api.js";
import { h, say, when, panel, body, notice, remedy, command, table } from "./dom.js";
import * as passkey from "./passkey.js";

const keyText = (key) => (key.kind === "file" ? "key file" : `passkey (${key.kind})${key.synced ? ", may be copied by its maker" : ""}`);

function rule(people) {
  return panel("The rule", `version ${people.version}${people.reset ? ", a reset" : ""}`, body(h("dl", { class: "facts" },
    h("dt", {}, "Approve"), h("dd", {}, people.approve), h("dt", {}, "Change this rule"), h("dd", {}, people.administer),
    h("dt", {}, "Who proposed"), h("dd", {}, people.not_own ? "does not count" : "counts as well"))), table("People", [
    ["Person", (one) => one.name], ["Roles", (one) => one.roles.join(", ")],
    ["Keys", (one) => one.keys.map((key) => h("div", {}, keyText(key), " ", h("span", { class: "mono" }, key.key.slice(0, 16))))]], people.persons),
    people.standing ? h("details", {}, h("summary", {}, "Standing rules"), h("pre", { tabindex: "0", role: "region", "aria-label": "Standing rules" }, people.standing)) : null);
}

function waitingChange(change) {
  return panel("A change of the rule waits", `${change.counted} of ${change.needed}`, body(
    h("p", {}, "Until ", when(change.until), change.missing?.length ? `; not yet heard: ${change.missing.join(", ")}` : ""),
    h("div", { class: "actions" }, h("a", { class: "button main", href: "/approve?say=rule" }, "Read and sign it"))),
    h("pre", { tabindex: "0", role: "region", "aria-label": "The rule that is proposed" }, change.text));
}

const quoted = (text) => `"${text}"`;
function toml(key) {
  return ["[[person.key]]", `kind = ${quoted(key.kind)}`, `rp = ${quoted(key.rp)}`, `credential = ${quoted(key.credential)}`,
    `key = ${quoted(key.key)}`, `synced = ${key.synced}`].join("\n");
}

/// What the new key's person and the administrators do next.
function made(answer, failed) {
  const oneKey = h("input", { type: "checkbox", id: "one-key" });
  oneKey.style.width = "auto";
  const propose = async () => {
    await post("/v1/people/change", { people: answer.people, one_key: oneKey.checked });
    location.assign("/approve?say=rule");
  };
  return [
    notice("good", `The passkey of ${answer.person} is made. Nothing counts it yet.`,
      h("p", {}, "Read these words to whoever administers the rule, who compares them: ", h("b", { id: "key-words" }, answer.words)),
      answer.key.synced ? h("p", {}, "It may be copied to other devices by its maker: copies are not noticed.") : null),
    answer.people ? [h("p", {}, "It counts once the administrators have signed the rule that has it."),
      h("p", {}, oneKey, h("label", { for: "one-key" }, "One lost key may stop this member, and that is meant")),
      h("div", { class: "actions" }, h("button", { class: "main", type: "button", onclick: () => propose().catch(failed) }, "Propose that rule"))]
      : [h("p", {}, "There is no rule yet. Put these lines below the person into people.toml, and make the first one with `flexroom people init`:"),
        h("pre", { class: "command", id: "key-toml", tabindex: "0", role: "region", "aria-label": "For people.toml" }, toml(answer.key))],
  ];
}

function enrol(people) {
  const person = people ? h("select", { id: "enrol-person" }, people.persons.map((one) => h("option", { value: one.name }, one.name)))
    : h("input", { id: "enrol-person", required: true, pattern: "[a-z0-9._\\-]+", autocomplete: "off" });
  const outcome = h("div", { "aria-live": "polite" });
  const failed = (error) => outcome.replaceChildren(notice("bad", passkey.words(error), remedy(error.remedy)));
  const send = async (event) => {
    event.preventDefault();
    outcome.replaceChildren(h("p", {}, "Waiting for the authenticator…"));
    try {
      const asked = await post("/v1/people/enrolment", { person: person.value.trim() });
      const registration = await passkey.make(asked, asked.person);
      const answer = await post("/v1/people/enrolment/key", { person: asked.person, ...registration });
      outcome.replaceChildren(...made(answer, failed).flat().filter(Boolean));
      say("The passkey is made.");
    } catch (error) {
      failed(error);
    }
  };
  return panel("A new passkey", "of this browser, a phone or a security key", body(h("form", { onsubmit: send },
    h("div", { class: "field" }, h("label", { for: "enrol-person" }, "Whose it is"), person),
    h("div", { class: "actions" }, h("button", { type: "submit" }, "Make a passkey")), outcome)));
}

export async function people(view) {
  const answer = await get("/v1/people");
  view.title("People", answer.people ? answer.people.approve : "no rule");
  view.steady(); // somebody may be making a key
  return [
    view.head("People", answer.people ? "Persons of this member, each with a key of her own, decide. Other members see that it approved, not who."
      : "This member has no rule of people: whoever may read its key decides, by command."),
    answer.change ? waitingChange(answer.change) : null,
    answer.people ? rule(answer.people) : null,
    enrol(answer.people),
    panel("With key files", "", body(h("p", { class: "sub" }, "A key file is made on the person's own machine; its rule is made and changed by command:"), command("flexroom people --help"))),
  ];
}
