#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agreement/member_statements.h"
#include "cli/commands.h"
#include "flexroom/decider.h"
#include "node/client.h"

// A member's people at its resident node: voices for a proposal, and the rule itself.

namespace flexroom::cli {

/// APPROVE, REJECT or WITHDRAW, of approve, reject or withdraw.
std::string_view statement_kind(std::string_view decision);

/// The voices for one decision on one proposal, or for a change of the rule, taken by a node. What
/// is signed is shown from bytes that are hashed here; a node that asks for a signature on anything
/// else is found out before somebody signs (members.md §9.3).
class NodeVoices final : public PeopleVoices {
 public:
  /// Of a proposal, whose bytes were fetched and shown.
  struct Decision {
    std::string path;  // "/v1/proposals/3f.."
    std::string kind, reason;
    Bytes canonical;
    std::vector<agreement::GivenInput> inputs;
    uint64_t first = 0, last = 0;  // its window, as shown
  };
  NodeVoices(node::Client client, Decision decision);
  /// Of the change that waits.
  explicit NodeVoices(node::Client client);

  size_t needed() const override { return needed_; }
  std::vector<std::string> missing() const override { return missing_; }
  std::string person_with(const std::string& key_id) const override;
  std::string request(const std::string& person) override;
  void add(const std::string& signature) override;
  /// The node's last answer to a voice; nothing was said yet: null.
  const nlohmann::json& answer() const { return answer_; }

 private:
  void learn(const std::string& quorum);
  void take_progress(const nlohmann::json& answer);
  void require_as_shown(const Bytes& st) const;

  const node::Client client_;
  std::optional<Decision> decision_;  // nothing: the change
  nlohmann::json rule_;
  size_t needed_ = 0;
  std::vector<std::string> missing_;
  nlohmann::json answer_;
};

/// Lets --sign-with and --voices sign; true: they were enough.
bool gather(Output& out, const Common& common, NodeVoices& voices);

}  // namespace flexroom::cli
