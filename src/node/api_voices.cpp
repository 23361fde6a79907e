#include <fmt/core.h>

#include <algorithm>
#include <ctime>

#include "agreement/render.h"
#include "base/base64.h"
#include "base/codec.h"
#include "config/config.h"
#include "node/api.h"
#include "node/request_body.h"
#include "people/rule_json.h"
#include "people/voice_refused.h"

// What a member decides: statements that are shown, and their signatures. Of a member without
// people its own key's (operator_voice.h), else of its people alone (people_desk.h).

namespace flexroom::node {
namespace {

using nlohmann::json;
using Kind = agreement::StatementKind;

uint64_t now_seconds() { return static_cast<uint64_t>(std::time(nullptr)); }

struct Decision {
  Kind kind = Kind::kApprove;
  std::string reason;
};

Decision decision_of(const json& body) {
  const std::string said = text_of(body, "decision");
  Decision out;
  if (said == "approve") return out;
  if (said == "withdraw") {
    out.kind = Kind::kWithdraw;
    return out;
  }
  if (said != "reject") throw HttpError(400, "'decision' is none of approve, reject, withdraw");
  out.kind = Kind::kReject;
  out.reason = text_of(body, "reason");
  if (out.reason.size() > agreement::kMaxReasonBytes) {
    throw HttpError(400, "the reason is longer than 1024 bytes");
  }
  return out;
}

OperatorStatement operator_statement(const Core::Open& open, const inbox::Item& item,
                                     const agreement::MemberId& self, const Decision& decision) {
  OperatorStatement out;
  out.room = open.state.rid();
  out.member = self;
  out.kind = decision.kind;
  out.terms = open.inbox.configuration().terms();
  out.what = item.complete.value_or(item.proposal);
  out.window = item.terms.window;
  out.reason = decision.reason;
  if (decision.kind == Kind::kApprove && !item.complete) {
    throw HttpError(409, "inputs are missing: it cannot be approved yet");
  }
  if (decision.kind == Kind::kWithdraw)
    out.reason = item.proposer == self ? "proposal" : "approval";
  return out;
}

people::Ticket ticket_of(const json& body) {
  people::Ticket out{};
  const Bytes given = hex_of(body, "ticket", out.size());
  if (given.size() != out.size()) throw HttpError(400, "'ticket' has not 16 bytes");
  std::copy(given.begin(), given.end(), out.begin());
  return out;
}

/// Of a passkey or a key file, on that statement.
people::Voice voice_of(const json& body, const Bytes& st) {
  people::Voice out;
  out.st = st;
  if (body.contains("webauthn") == body.contains("key_file")) {
    throw HttpError(400, "a voice is one of 'webauthn' and 'key_file'");
  }
  if (body.contains("webauthn")) {
    const json given = object_of(body, "webauthn",
                                 {"credential", "client_data", "authenticator_data", "signature"});
    out.key_id = base64url_of(given, "credential", people::Rule::kMaxCredential);
    out.client_data = base64url_of(given, "client_data", people::kMaxClientData);
    out.authenticator_data =
        base64url_of(given, "authenticator_data", people::kMaxAuthenticatorData);
    out.signature = base64url_of(given, "signature", people::kMaxSignature);
    return out;
  }
  const json given = object_of(body, "key_file", {"key", "signature"});
  out.key_id = hex_of(given, "key", people::Rule::kMaxCredential);
  out.signature = hex_of(given, "signature", people::kMaxSignature);
  return out;
}

void require_person(const json& body, const Bytes& st) {
  const std::string person = people::PersonStatement::decode(st, "statement").person;
  if (text_of(body, "person", person.c_str()) != person) {
    throw HttpError(400, "the ticket was made for another person");
  }
}

}  // namespace

json Api::progress_json(const PeopleDesk::Progress& progress) {
  return {{"counted", progress.counted},
          {"needed", progress.needed},
          {"decided", progress.decided},
          {"missing", progress.missing}};
}

json Api::asked_json(const PeopleDesk::Asked& asked) {
  json out = progress_json(asked.progress);
  const Bytes st = asked.st.encode();
  out["person"] = asked.st.person;
  out["ticket"] = to_hex(asked.st.ticket);
  out["statement"] = to_hex(st);
  if (asked.passkeys.empty()) return out;
  json allow = json::array();
  for (const people::Key& key : asked.passkeys) {
    if (key.rp != asked.passkeys.front().rp) continue;
    allow.push_back(
        {{"id", base64url_encode(key.credential)},
         {"label", fmt::format("{} {}", to_string(key.kind), to_hex(key.digest()).substr(0, 8))}});
  }
  out["webauthn"] = {{"challenge", base64url_encode(people::challenge_of(st))},
                     {"rp_id", asked.passkeys.front().rp},
                     {"allow", allow},
                     {"user_verification", "required"}};
  return out;
}

HttpAnswer Api::ticket(const Call& call) {
  const json body = body_of(call.request, {"decision", "reason", "person"});
  const Decision decision = decision_of(body);
  json out = core_.with([&](const Core::Open& open) {
    const inbox::Item item = item_called(open.inbox, call.id);
    json made;
    if (open.inbox.rule_version() > 0) {
      const std::string person = text_of(body, "person", call.authority.name.c_str());
      made = asked_json(people_.ask(open, {item, decision.kind, decision.reason}, person,
                                    call.authority.name, now_seconds()));
    } else {
      if (body.contains("person")) throw HttpError(409, "this member has no people (no RULE)");
      const auto statement =
          tickets_.issue(operator_statement(open, item, core_.mids()[core_.self()], decision));
      made["statement"] = to_hex(statement.encode());
    }
    made["ok"] = true;
    made["proposal"] = to_json(item, core_);
    made["text"] = agreement::render(open.inbox.proposal(item.proposal).canonical(), "proposal");
    return made;
  });
  return HttpAnswer::json(out);
}

PeopleDesk::Progress Api::say_as_operator(const Core::Open& open, const inbox::Item& item,
                                          const json& body, Kind& kind) {
  const Bytes signed_bytes = hex_of(body, "statement", 4096);
  net::Signature signature{};
  const Bytes given = hex_of(body, "signature", signature.size());
  if (given.size() != signature.size()) throw HttpError(400, "'signature' has not 64 bytes");
  std::copy(given.begin(), given.end(), signature.begin());
  const OperatorStatement statement = OperatorStatement::decode(signed_bytes, "statement");
  kind = statement.kind;
  if (!statement.verify(open.state.identity().signing_key(), signature)) {
    throw HttpError(403, "the signature is not of this member's key",
                    "whoever may read the member's key file signs (`flexroom proposal`)");
  }
  if (item.complete.value_or(item.proposal) != statement.what) {
    throw HttpError(409, "the signature is about another proposal");
  }
  if (!tickets_.take(signed_bytes)) {
    throw HttpError(409, "this was not asked here within ten minutes, or was answered already",
                    "look at it again and sign that");
  }
  const uint64_t now = now_seconds();
  if (kind == Kind::kApprove) {
    inbox::Inbox::Consent consent;
    consent.evidence =
        RandomOracle("operator evidence", {}).field(signed_bytes).field(given).digest();
    consent.window = statement.window;
    open.inbox.approve(statement.what, consent, now);
  } else if (kind == Kind::kReject) {
    open.inbox.reject(statement.what, statement.reason, now);
  } else if (statement.reason == "proposal") {
    open.inbox.withdraw_proposal(statement.what, now);
  } else {
    open.inbox.withdraw_approval(statement.what, now);
  }
  return {1, 1, true, {}};
}

PeopleDesk::Progress Api::say_as_person(const Core::Open& open, const inbox::Item& item,
                                        const json& body, Kind& kind) {
  const auto st = people_.statement(ticket_of(body));
  if (!st) {
    throw people::VoiceRefused(
        people::VoiceCheck::kTicket, "voice",
        "is for a ticket that was not made here within ten minutes, or was taken already",
        "have it shown again and sign again");
  }
  require_person(body, *st);
  kind = people::PersonStatement::decode(*st, "statement").kind;
  return people_.say(open, item, voice_of(body, *st), now_seconds());
}

HttpAnswer Api::voice(const Call& call) {
  const json body =
      body_of(call.request, {"statement", "signature", "ticket", "person", "webauthn", "key_file"});
  Kind kind = Kind::kApprove;
  json out = core_.with([&](const Core::Open& open) {
    const inbox::Item item = item_called(open.inbox, call.id);
    const bool has_people = open.inbox.rule_version() > 0;
    if (has_people && body.contains("statement")) {
      throw HttpError(409, "this member's approvals are its people's (a RULE is set up)",
                      "they sign with their own keys");
    }
    const auto progress = has_people ? say_as_person(open, item, body, kind)
                                     : say_as_operator(open, item, body, kind);
    json answer = progress_json(progress);
    answer["ok"] = true;
    answer["proposal"] = to_json(*open.inbox.show(item.proposal, now_seconds()), core_);
    return answer;
  });
  core_.events().add("proposal", {{"proposal", out["proposal"]["id"]},
                                  {"by", call.authority.name},
                                  {"said", std::string(agreement::to_string(kind))},
                                  {"decided", out["decided"]}});
  core_.changed();
  return HttpAnswer::json(out);
}

// The rule of this member's people.

void Api::require_administers(const Core::Open& open, const Authority& authority) const {
  const auto rule = PeopleDesk::rule(open);
  if (!rule) {
    throw HttpError(409, "this member has no people yet",
                    "whoever holds its keys makes the first rule: `flexroom people init`");
  }
  const auto& of = rule->rule.administer.of;
  if (authority.is_root || std::find(of.begin(), of.end(), authority.name) != of.end()) return;
  throw HttpError(403, authority.name + " does not administer this member's people");
}

HttpAnswer Api::people_rule(const Call&) {
  json out = {{"ok", true}, {"people", nullptr}, {"change", nullptr}};
  core_.with([&](const Core::Open& open) {
    const auto rule = PeopleDesk::rule(open);
    if (!rule) return 0;
    out["people"] = people::rule_json(rule->rule, false);
    out["toml"] = rule->rule.toml();
    const auto pending = people_.pending(open, now_seconds());
    if (!pending) return 0;
    json change = progress_json(people_.change_progress(open, *pending));
    change["rule"] = people::rule_json(pending->next, false);
    change["text"] = pending->next.text();
    change["until"] = pending->until;
    out["change"] = std::move(change);
    return 0;
  });
  return HttpAnswer::json(out);
}

HttpAnswer Api::people_change(const Call& call) {
  const json body = body_of(call.request, {"people", "standing", "one_key"});
  if (!body.contains("people") && !body.contains("standing")) {
    throw HttpError(400, "'people' or 'standing' says what is to change");
  }
  json out = core_.with([&](const Core::Open& open) {
    require_administers(open, call.authority);
    people::Rule next = PeopleDesk::rule(open)->rule;
    if (body.contains("people")) {
      const std::string standing = next.standing;
      next = people::Rule::parse(text_of(body, "people"), "people.toml", flag_of(body, "one_key"));
      next.standing = standing;
    }
    next.standing = text_of(body, "standing", next.standing.c_str());
    const auto pending = people_.propose(open, std::move(next), now_seconds());
    json made = progress_json(people_.change_progress(open, pending));
    made["ok"] = true;
    made["version"] = pending.next.version;
    made["digest"] = to_hex(pending.next.digest());
    made["text"] = pending.next.text();
    made["until"] = pending.until;
    return made;
  });
  core_.events().add("people", {{"proposed", out["version"]}, {"by", call.authority.name}});
  return HttpAnswer::json(out, 201);
}

HttpAnswer Api::people_ticket(const Call& call) {
  const json body = body_of(call.request, {"person"});
  const std::string person = text_of(body, "person", call.authority.name.c_str());
  return HttpAnswer::json(core_.with([&](const Core::Open& open) {
    json out = asked_json(people_.ask_change(open, person, now_seconds()));
    const auto pending = people_.pending(open, now_seconds());
    out["ok"] = true;
    out["document"] = to_hex(pending->next.encode());
    out["text"] = pending->next.text();
    return out;
  }));
}

HttpAnswer Api::people_voice(const Call& call) {
  const json body = body_of(call.request, {"ticket", "person", "webauthn", "key_file"});
  const people::Ticket ticket = ticket_of(body);
  json out = core_.with([&](const Core::Open& open) {
    const auto pending = people_.pending(open, now_seconds());
    Bytes st;
    for (const Bytes& one : pending ? pending->statements : std::vector<Bytes>()) {
      if (people::PersonStatement::decode(one, "statement").ticket == ticket) st = one;
    }
    if (st.empty()) {
      throw people::VoiceRefused(people::VoiceCheck::kTicket, "voice",
                                 "is for a change that does not wait here",
                                 "sign the newest request");
    }
    require_person(body, st);
    json answer = progress_json(people_.say_change(open, voice_of(body, st), now_seconds()));
    answer["ok"] = true;
    answer["version"] = PeopleDesk::rule(open)->rule.version;
    return answer;
  });
  core_.events().add("people", {{"version", out["version"]}, {"decided", out["decided"]}});
  core_.changed();
  return HttpAnswer::json(out);
}

void Api::require_enrols(const Core::Open& open, const Authority& authority,
                         const std::string& person) const {
  if (!is_name(person)) throw HttpError(400, "'person' is no name");
  if (authority.is_root || authority.name == person) return;
  require_administers(open, authority);
}

HttpAnswer Api::enrolment(const Call& call) {
  const json body = body_of(call.request, {"person"});
  const std::string person = text_of(body, "person");
  return HttpAnswer::json(core_.with([&](const Core::Open& open) {
    require_enrols(open, call.authority, person);
    json exclude = json::array();
    if (const auto rule = PeopleDesk::rule(open)) {
      const people::Person* const who = rule->rule.person(person);
      for (const people::Key& key : who != nullptr ? who->keys : std::vector<people::Key>()) {
        if (key.is_webauthn()) exclude.push_back({{"id", base64url_encode(key.credential)}});
      }
    }
    const Digest user =
        RandomOracle("user", {}).field(open.state.rid()).field(as_bytes(person)).digest();
    return json{{"ok", true},
                {"person", person},
                {"challenge", base64url_encode(people_.ask_key(person))},
                {"rp_id", people::kLocalRpId},
                {"user", base64url_encode(user)},
                {"exclude", exclude},
                {"user_verification", "required"}};
  }));
}

HttpAnswer Api::enrolment_key(const Call& call) {
  const json body = body_of(call.request, {"person", "attestation_object", "client_data"});
  const std::string person = text_of(body, "person");
  const people::Registration registration{
      base64url_of(body, "attestation_object", 2 * people::kMaxAuthenticatorData),
      base64url_of(body, "client_data", people::kMaxClientData)};
  people::Key key;
  json out = core_.with([&](const Core::Open& open) {
    require_enrols(open, call.authority, person);
    key = people_.take_key(registration, person);
    json made = {{"ok", true}, {"person", person}};
    people::Rule alone;
    alone.version = 1;  // a form that can be written
    alone.one_key = true;
    alone.persons = {{person, {people::Role::kApprove, people::Role::kAdminister}, {key}}};
    alone.approve.needed = alone.administer.needed = 1;
    alone.approve.of = alone.administer.of = {person};
    const auto rule = PeopleDesk::rule(open);
    if (rule && rule->rule.holder(key.id()).key != nullptr) {
      throw HttpError(409, "this passkey is enrolled already");
    }
    made["key"] = people::rule_json(alone, false)["persons"][0]["keys"][0];
    if (!rule) return made;
    people::Rule next = rule->rule;
    for (people::Person& one : next.persons) {
      if (one.name != person) continue;
      one.keys.push_back(key);
      made["people"] = next.toml();  // what people_change() takes
    }
    return made;
  });
  out["words"] = people::words_of(key);  // a second: nobody waits for it
  return HttpAnswer::json(out);
}

}  // namespace flexroom::node
