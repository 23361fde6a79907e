#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "support/connection_rig.h"
#include "support/openssl_service.h"

// Members with a prepared sealed connection (tls-in-mpc.md §4.5, §5.4-5.7), and what is to be said
// of its answers.

namespace flexroom::support {

using agent::SealedItem;
using agent::SealedPlan;

inline SealedPlan small_plan() {
  SealedPlan plan;
  plan.header_max = 384;
  plan.body_max = 256;
  plan.record_bytes = 8192;
  plan.max_chunks = 3;
  plan.tests_max = 64;
  return plan;
}

inline SealedItem keep_cookie() {
  SealedItem item;
  agent::SealedCookie cookie;
  cookie.query.name = "session";
  cookie.query.host = "api.example";
  item.at = cookie;
  item.char_class = http::char_set(http::CharClass::kCookie);
  item.max_bytes = 40;
  return item;
}

inline SealedItem item_at(agent::SealedPlace at, http::CharClass char_class, size_t max,
                          SealedItem::Fate fate = SealedItem::Fate::kKeep) {
  SealedItem item;
  item.at = std::move(at);
  item.char_class = http::char_set(char_class);
  item.max_bytes = max;
  item.fate = fate;
  return item;
}

inline agent::SealedJson json_path(std::vector<http::JsonStep> path, bool number = false) {
  return {std::move(path), number};
}

/// A secret is kept, an id is opened to all, a name to one member, a kind is asserted.
inline SealedPlan json_plan() {
  SealedPlan plan = small_plan();
  plan.items.push_back(
      item_at(json_path({std::string("key"), std::string("secret")}), http::CharClass::kB64, 40));
  plan.items.push_back(item_at(json_path({std::string("id")}, true), http::CharClass::kDigits, 8,
                               SealedItem::Fate::kOpen));
  plan.items.push_back(item_at(json_path({std::string("name")}), http::CharClass::kUrlSafe, 20,
                               SealedItem::Fate::kOpen));
  plan.items.back().to = 1;
  plan.items.push_back(item_at(json_path({std::string("kind")}), http::CharClass::kUrlSafe, 20,
                               SealedItem::Fate::kTest));
  plan.items.back().equals = "a kind of key that is long";
  plan.items.push_back(item_at(agent::SealedHeader{"x-code", "c=", ";"}, http::CharClass::kHex, 16,
                               SealedItem::Fate::kKeep));
  agent::SealedCodes codes;
  codes.at = json_path({std::string("code")});
  codes.one_of = {"Expired", "Throttled", "expired"};
  plan.codes = codes;
  return plan;
}

inline std::unique_ptr<ConnectionRig> make_rig(size_t n, const SealedPlan& plan) {
  const auto shared = std::make_shared<const SealedPlan>(plan);
  return std::make_unique<ConnectionRig>(n, [shared](PartyId, agent::ConnectionConfig& config) {
    config.receive = agent::ReceiveMode::kSealed;
    config.sealed = shared;
  });
}

/// What is wrong with an answer is judged by public code: three members see every third case.
inline bool skipped(size_t n, size_t number) { return n > 2 && number % 3 != 0; }

/// Rigs are prepared once a plan and number of members.
inline ConnectionRig& rig(size_t n, const std::string& name, SealedPlan (*plan)()) {
  static std::map<std::pair<size_t, std::string>, std::unique_ptr<ConnectionRig>> rigs;
  auto& rig = rigs[{n, name}];
  if (!rig) rig = make_rig(n, plan());
  return *rig;
}

inline ConnectionRig::Report answer_with(ConnectionRig& members, const std::string& answer) {
  ConnectionRig::Scenario scenario;
  scenario.script.answer = answer;
  return members.run(scenario);
}

inline void expect_failure(const ConnectionRig::Report& report, const std::string& name) {
  ASSERT_TRUE(report.ended);
  for (const auto& member : report.members) {
    EXPECT_FALSE(member.code.has_value()) << member.where << ": " << member.detail;
    EXPECT_EQ(member.failure, name);
    for (const auto& value : member.values) EXPECT_EQ(value.state, 0);
  }
}

inline void expect_kept(const ConnectionRig::Report& report, const std::string& value,
                        size_t k = 0) {
  ASSERT_TRUE(report.ended);
  for (const auto& member : report.members) {
    ASSERT_TRUE(member.sealed) << member.where << ": " << member.detail;
    EXPECT_EQ(member.failure, "");
    ASSERT_EQ(member.values.size() > k, true);
    EXPECT_EQ(member.values[k].state, static_cast<uint8_t>(agent::SealedValue::State::kKept));
    EXPECT_EQ(member.values[k].text, "");
  }
  EXPECT_EQ(report.kept(k), value);
}

inline SealedPlan cookie_plan() {
  SealedPlan plan = small_plan();
  plan.statuses = {200, 302};
  plan.items.push_back(keep_cookie());
  return plan;
}

inline std::string set_cookie(const std::string& line) {
  return "HTTP/1.1 200 OK\r\nSet-Cookie: " + line + "\r\nContent-Length: 0\r\n\r\n";
}

inline ConnectionRig::Scenario from_openssl(OpensslService::Options options) {
  ConnectionRig::Scenario scenario;
  scenario.service = [options](TestService::Seen& seen) {
    return std::make_unique<OpensslService>(options, seen);
  };
  return scenario;
}

}  // namespace flexroom::support
