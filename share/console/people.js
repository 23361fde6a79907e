// The member's people: the rule, and enrolling a passkey.
import { get } from "./api.js";
import { h, panel, body, command } from "./dom.js";

export async function people(view) {
  view.title("People", "");
  return [view.head("People", "Who speaks for this member."),
    panel("The rule", "", body(h("p", {}, view.status.people ? "This member's people have a rule." : "No rule: whoever may read the member's key approves."),
      command("flexroom people show")))];
}
