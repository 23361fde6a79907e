#pragma once

#include "run_fixture.h"

// Members that lie, or come back from a backup at a bad moment: what their tests have in common.

namespace flexroom::flow {

using Op = History::Op;

inline const Flow& file(const std::string& name) {
  static std::map<std::string, Flow> all;
  auto it = all.find(name);
  if (it == all.end()) it = all.emplace(name, load_shipped(name)).first;
  return it->second;
}

constexpr std::string_view kDesk = R"([flow]
name = "desk"
provider = "sandbox"
prefix = "desk"
hosts = ["shop.flexroom.example"]

[[step]]
name = "FindCase"
request = '''
GET /cases HTTP/1.1
Host: shop.flexroom.example
'''
item = '/cases/[subject="quota"]'
pick = "first"
open."run/case" = { at = "json item/id", class = "urlsafe", max = 64 }
on.none = "branch NewCase x9"

[[branch.NewCase]]
name = "CreateCase"
leaves = "a case"
request = '''
POST /cases HTTP/1.1
Host: shop.flexroom.example
Content-Type: application/json

{"subject": "quota"}
'''
open."run/case" = { at = "json /id", class = "urlsafe", max = 64 }
on.ok = "after FindCase"
on.unknown = "back FindCase"
)";

inline Flow desk(const std::vector<std::pair<std::string, std::string>>& edits = {}) {
  std::string text(kDesk);
  for (const auto& [old_text, new_text] : edits) {
    EXPECT_NE(text.find(old_text), std::string::npos) << old_text;
    text.replace(text.find(old_text), old_text.size(), new_text);
  }
  return parse_flow(text, shipped("desk"), sandbox_room());
}

inline bool says(const std::vector<std::string>& ended, PartyId who, const std::string& text) {
  const bool found = ended[who].find(text) != std::string::npos;
  if (!found) ADD_FAILURE() << ended[0] << " / " << ended[1];
  return found;
}

inline RunId open_run(History& h, PartyId member, const std::string& flow) {
  return h.look(member, [&](RunStore& store) -> RunId {
    for (const RunState& run : store.runs()) {
      if (run.head.flow == flow && !run.done && !store.is_closed(run.id)) return run.id;
    }
    return "";
  });
}

/// Party 0 says something else under that label: the k-th message of it, or every one.
inline net::Tamper lie(const std::string& label, std::function<void(Bytes&)> change,
                       int only = -1) {
  auto seen = std::make_shared<int>(0);
  return [=](const net::MessageId& message, Bytes& payload) {
    if (message.sender != 0 || message.label != label) return;
    if (only < 0 || (*seen)++ == only) change(payload);
  };
}

/// Puts one more run into the list that a message begins with.
inline void add_run(Bytes& payload, const RunId& id) {
  payload[3] += 1;
  const Bytes field = Writer().field(id).take();
  payload.insert(payload.begin() + 4, field.begin(), field.end());
}

/// Stops every member behind `armed` of that step.
inline void stop_at(History& h, const std::string& step) {
  h.toy.at_step = [step](const std::string& name) {
    if (name == step) throw ProtocolAbort(AbortCode::kCancelled, name, "stopped");
  };
}

}  // namespace flexroom::flow
