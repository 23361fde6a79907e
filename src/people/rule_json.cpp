#include "people/rule_json.h"

#include "agreement/words.h"
#include "base/base64.h"
#include "base/codec.h"

namespace flexroom::people {

std::string words_of(const Key& key) { return agreement::words(key.bytes, agreement::kKeyWords); }

nlohmann::json key_json(const Key& key, bool with_words) {
  nlohmann::json out = {{"kind", to_string(key.kind)}, {"key", to_hex(key.bytes)}};
  if (key.is_webauthn()) {
    out["rp"] = key.rp;
    out["credential"] = base64url_encode(key.credential);
    out["synced"] = key.synced;
  }
  if (with_words) out["words"] = words_of(key);
  return out;
}

nlohmann::json rule_json(const Rule& rule, bool with_words) {
  nlohmann::json persons = nlohmann::json::array();
  for (const Person& one : rule.persons) {
    nlohmann::json keys = nlohmann::json::array(), roles = nlohmann::json::array();
    for (const Role role : one.roles) roles.push_back(to_string(role));
    for (const Key& key : one.keys) keys.push_back(key_json(key, with_words));
    persons.push_back({{"name", one.name}, {"roles", roles}, {"keys", keys}});
  }
  const auto quorum = [](const Quorum& of) {
    return nlohmann::json{{"needed", of.needed}, {"of", of.of}};
  };
  return {{"version", rule.version},
          {"digest", to_hex(rule.digest())},
          {"reset", rule.reset},
          {"approve", rule.approve.text()},
          {"administer", rule.administer.text()},
          {"quorums", {{"approve", quorum(rule.approve)}, {"administer", quorum(rule.administer)}}},
          {"not_own", rule.not_own},
          {"standing", rule.standing},
          {"persons", persons}};
}

}  // namespace flexroom::people
