#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/connection.h"
#include "agent/journal.h"
#include "flow/executor.h"
#include "net/party.h"

namespace flexroom::room {

/// The session's journal, which tells of each release of a step: `armed` is durable before the
/// mark, and both before a share of the tag leaves. One for all steps, because connections outlive
/// theirs.
class ReleaseJournal final : public agent::Journal {
 public:
  /// While it lives, what is marked goes to the session's journal, and what is released is the
  /// request of this call.
  class Of {
   public:
    Of(ReleaseJournal& releases, agent::Journal& session, const flow::StepCall& call)
        : releases_(releases) {
      releases.session_ = &session;
      releases.call_ = &call;
    }
    ~Of() {
      releases_.session_ = nullptr;
      releases_.call_ = nullptr;
    }
    Of(const Of&) = delete;
    Of& operator=(const Of&) = delete;

   private:
    ReleaseJournal& releases_;
  };
  void mark(std::string_view kind, ByteView id) override;
  void mark_ahead(std::span<const Digest> instances) override;

 private:
  agent::Journal* session_ = nullptr;
  const flow::StepCall* call_ = nullptr;
};

/// Connections between the steps of a flow (operations.md (c) "Connections"): which requests share
/// one stands in the file's plan (flow/connections.h); here it is held, and given up where it
/// ended. Of a session, at most one a host.
///
/// Guarantee  every member is where all others are, or nothing is marked or released: what each
///            holds is compared before a request is laid out for it
/// Errors     kDisagreement naming the member that says otherwise
class FlowConnections {
 public:
  explicit FlowConnections(net::Party& party) : party_(party) {}

  /// Steps that are to follow on the connection of this one, in their order: none where the service
  /// ended connections that were to go on.
  std::vector<const flow::Step*> behind(const flow::Flow& flow, const flow::Step& step) const;
  /// The connection that the step goes on, or null: it needs a new one. All members together. What
  /// was held for it is gone then, and all that was held unless the run came straight here.
  std::unique_ptr<agent::Connection> take(const flow::Step& step, agent::Timeline& timeline);
  /// Behind an accepted answer to the step, whose connection is `left`, or null where the service
  /// ended it, for the step that is to follow.
  void hold(const flow::Step& step, std::unique_ptr<agent::Connection> left);
  /// Behind each answer. Only an `ok` leads straight on, to the next step of the line; any other
  /// event ends all that is held, before its pause or its person's time begins.
  void note_answer(const flow::Step& step, bool is_ok);
  /// The service ended the one that the step was to go on.
  void note_end(const flow::Step& step) { ++ended_[step.host]; }

 private:
  struct Held {
    std::unique_ptr<agent::Connection> connection;
    std::string next;  // the step
  };
  void agree(const flow::Step& step, const Held* held) const;
  unsigned ends_at(const std::string& host) const;

  net::Party& party_;
  /// Line and index of the step that comes straight behind the last answer.
  std::optional<std::pair<std::string, size_t>> straight_on_;
  std::map<std::string, Held> held_;       // by host
  std::map<std::string, unsigned> ended_;  // by host: how often
};

}  // namespace flexroom::room
