#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "flow/run_store.h"
#include "net/identity.h"
#include "net/party.h"

namespace flexroom::flow {

/// A run does not go on; what to do stands in the words. Nothing was changed by it.
class FlowStop : public std::runtime_error {
 public:
  enum class Kind : uint8_t {
    kStep,      // a rule, a named failure: run again, or --continue with an edited file
    kRestored,  // a member lacks what all had: --continue, else --abandon
    kRefused,   // before anything was contacted
    kLedger,    // no bits are left: --continue with a file without the test
  };
  FlowStop(Kind kind, const std::string& text) : std::runtime_error(text), kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

/// What the members of a run say to each other (operations.md (c)): two-phase commits with signed
/// ok's, and the one echoed vector of statements at a contact, on which alone anybody commits or
/// voids. Every call is made by all members alike.
///
/// Security  a signed ok is given after its change was staged durably, so n of them make every
/// honest
///           member able to commit; a member that gave its ok cannot deny it later; statements are
///           broadcasts under echo, so no two honest members act on different ones
/// Errors    FlowStop(kRestored) naming the member; ProtocolAbort(kDisagreement) where public data
///           differ; network aborts
class Members {
 public:
  struct Self {
    net::Party& party;
    const net::Identity& identity;
    std::vector<net::SigningKey> keys;  // by party
    std::vector<std::string> names;     // by party
    store::RoomId rid{};
  };
  /// `committed` hears of every change that this member commits, at a contact too; `together` of
  /// the same before it is durable, and makes it so.
  Members(Self self, RunStore& store, std::function<void(const Change&)> committed = nullptr,
          RunStore::Together together = nullptr)
      : self_(std::move(self)),
        store_(store),
        committed_(std::move(committed)),
        together_(std::move(together)) {}

  /// Staged at all, ok's exchanged and verified, committed.
  void commit(const Change& change, const ValueBytes& bytes);
  /// Brings every member to the same commit of the run, or refuses.
  void contact(const RunId& run);
  /// The open runs of a prefix and flow that any member has, ascending, and whether any member's
  /// once.db knows one that its state.db does not.
  struct OpenRuns {
    std::vector<RunId> open;
    std::map<RunId, PartyId> foreign;      // of these, those that are not open here: who says so
    std::optional<std::string> forgotten;  // "member: run"
  };
  OpenRuns open_runs(const std::string& prefix, const std::string& flow);
  /// What each says, by party, echoed.
  std::vector<Bytes> say(std::string_view label, ByteView mine, size_t max_bytes);
  /// Each says what stands in its way, or nothing; FlowStop naming the first who has something. All
  /// together: a member that stopped alone would leave the others waiting.
  void object(std::string_view label, FlowStop::Kind kind, std::string_view before,
              std::string_view problem);
  /// All say the same, else kDisagreement naming the first who does not.
  void agree(std::string_view label, const Digest& mine, std::string_view what);

  /// Whether these are the ok's of all to that commit.
  bool proven(const RunId& run, uint64_t number, const Digest& change,
              const std::vector<net::Signature>& oks) const;

  const Self& self() const { return self_; }
  const std::string& name(PartyId id) const { return self_.names[id]; }

 private:
  struct Claim;
  /// Open here, and known to once.db alone.
  std::pair<std::set<RunId>, std::set<RunId>> own_runs(const std::string& prefix,
                                                       const std::string& flow);
  std::vector<Claim> claims(const RunId& run);
  Bytes ok_text(const RunId& run, uint64_t number, const Digest& change) const;
  void finish(const RunId& run, uint64_t number, const Digest& change);

  Self self_;
  RunStore& store_;
  std::function<void(const Change&)> committed_;
  RunStore::Together together_;

  void apply(const RunId& run, const std::vector<net::Signature>& oks);
};

}  // namespace flexroom::flow
