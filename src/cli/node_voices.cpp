#include "cli/node_voices.h"

#include "agreement/member_statements.h"
#include "agreement/proposal.h"
#include "base/codec.h"
#include "base/display.h"
#include "base/error.h"
#include "cli/people_voices.h"
#include "cli/screen.h"
#include "inbox/terms.h"
#include "people/exchange.h"
#include "people/person_statement.h"

namespace flexroom::cli {
namespace {

using nlohmann::json;

constexpr std::string_view kPlace = "the node's statement";

std::string text(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

Bytes bytes(const json& object, const char* key) {
  const std::string hex = text(object, key);
  if (hex.empty() || hex.size() % 2 != 0 ||
      hex.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw InputError("the node's answer", std::string("has no `") + key + "` in hexadecimal");
  }
  return from_hex(hex);
}

std::vector<std::string> names(const json& list) {
  std::vector<std::string> out;
  for (const json& one : list.is_array() ? list : json::array()) {
    if (one.is_string()) out.push_back(display_text(one.get<std::string>()));
  }
  return out;
}

}  // namespace

std::string_view statement_kind(std::string_view decision) {
  return decision == "approve" ? "APPROVE" : decision == "reject" ? "REJECT" : "WITHDRAW";
}

NodeVoices::NodeVoices(node::Client client, Decision decision)
    : client_(std::move(client)), decision_(std::move(decision)) {
  learn("approve");
  if (decision_->kind != "approve") needed_ = 1;
}

NodeVoices::NodeVoices(node::Client client) : client_(std::move(client)) { learn("administer"); }

void NodeVoices::learn(const std::string& quorum) {
  const json answer = client_.get("/v1/people");
  rule_ = answer.value("people", json());
  if (!rule_.is_object()) throw InputError("the node", "says that this member has no people");
  const json of = rule_.value("quorums", json::object()).value(quorum, json::object());
  const auto needed = of.find("needed");
  if (needed == of.end() || !needed->is_number_unsigned()) {
    throw InputError("the node's answer", "does not say how many must sign");
  }
  needed_ = needed->get<size_t>();
  missing_ = names(of.value("of", json::array()));
  if (!decision_ && answer.value("change", json()).is_object()) take_progress(answer["change"]);
}

void NodeVoices::take_progress(const json& answer) {
  const auto number = [&](const char* key) -> size_t {
    const auto found = answer.find(key);
    if (found == answer.end() || !found->is_number_unsigned()) {
      throw InputError("the node's answer", std::string("has no number `") + key + "`");
    }
    return found->get<size_t>();
  };
  const size_t counted = number("counted"), all = number("needed");
  needed_ = counted >= all ? 0 : all - counted;
  missing_ = names(answer.value("missing", json::array()));
}

std::string NodeVoices::person_with(const std::string& key_id) const {
  for (const json& person : rule_.value("persons", json::array())) {
    for (const json& key : person.value("keys", json::array())) {
      if (text(key, "key") == key_id) return display_text(text(person, "name"));
    }
  }
  return "";
}

void NodeVoices::require_as_shown(const Bytes& st) const {
  const auto statement = people::PersonStatement::decode(st, kPlace);
  const auto refuse = [] {
    throw InputError(kPlace, "is not about what is shown here", "sign nothing; look at the node");
  };
  if (!decision_) {
    if (statement.kind != agreement::StatementKind::kRule) refuse();
    return;
  }
  const Decision& d = *decision_;
  const auto proposal = agreement::Proposal::decode(d.canonical, "proposal");
  const Digest versions = d.kind == "approve" ? inbox::Terms::read(proposal, "proposal").versions()
                                              : people::reason_digest(d.reason);
  if (agreement::to_string(statement.kind) != statement_kind(d.kind) ||
      statement.versions != versions || statement.room != proposal.room ||
      statement.terms != proposal.terms || statement.not_before != d.first ||
      statement.not_after != d.last) {
    refuse();
  }
}

std::string NodeVoices::request(const std::string& person) {
  json question = {{"person", person}};
  Bytes document;
  std::string path = "/v1/people/change";
  if (decision_) {
    path = decision_->path;
    question["decision"] = decision_->kind;
    if (decision_->kind == "reject") question["reason"] = decision_->reason;
    document = decision_->canonical;
  }
  const json asked = client_.post(path + "/ticket", question);
  take_progress(asked);
  const Bytes st = bytes(asked, "statement");
  if (!decision_) document = bytes(asked, "document");
  require_as_shown(st);
  people::Request out{st, document, {}};
  if (decision_) out.inputs = decision_->inputs;
  (void)out.shown(kPlace);  // what is hashed is what is shown
  return out.text();
}

void NodeVoices::add(const std::string& signature) {
  const people::Voice voice = people::parse_voice(signature, "signature");
  const auto st = people::PersonStatement::decode(voice.st, "signature");
  const std::string path = decision_ ? decision_->path : "/v1/people/change";
  if (!voice.authenticator_data.empty()) {
    throw InputError("signature", "is of a passkey", "passkeys sign in the console");
  }
  answer_ = client_.post(
      path + "/voice",
      {{"ticket", to_hex(st.ticket)},
       {"person", st.person},
       {"key_file", {{"key", to_hex(voice.key_id)}, {"signature", to_hex(voice.signature)}}}});
  take_progress(answer_);
}

bool gather(Output& out, const Common& common, NodeVoices& voices) {
  for (const std::filesystem::path& file : common.sign_with) {
    sign_here(out, common, file, voices);
    if (voices.needed() == 0) return true;
  }
  if (common.voices.empty()) return false;
  return await_voices(out, common.voices, voices, cancel_flag());
}

}  // namespace flexroom::cli
