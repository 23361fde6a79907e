#include "room/flow_connections.h"

#include "base/error.h"
#include "base/hash.h"
#include "flow/connections.h"

namespace flexroom::room {
namespace {

/// A service that ends every connection is not kept waiting for: what is prepared for later
/// requests would be lost each time. One end may be an accident.
constexpr unsigned kMostEnds = 2;

}  // namespace

void ReleaseJournal::mark(std::string_view kind, ByteView id) {
  FLEXROOM_ASSERT(session_ != nullptr && call_ != nullptr);
  if (kind == "release") call_->before_release();
  session_->mark(kind, id);
}

void ReleaseJournal::mark_ahead(std::span<const Digest> instances) {
  FLEXROOM_ASSERT(session_ != nullptr);
  session_->mark_ahead(instances);
}

unsigned FlowConnections::ends_at(const std::string& host) const {
  const auto ends = ended_.find(host);
  return ends == ended_.end() ? 0 : ends->second;
}

std::vector<const flow::Step*> FlowConnections::behind(const flow::Flow& flow,
                                                       const flow::Step& step) const {
  if (ends_at(step.host) >= kMostEnds) return {};
  return flow::behind_on_connection(flow, step);
}

/// What this member holds is a function of what all have seen; a member that says otherwise has
/// seen, or says, something else. Nothing is laid out for a request that not all will make there.
void FlowConnections::agree(const flow::Step& step, const Held* held) const {
  constexpr std::string_view kWhat = "flow/connection";
  const Digest mine = RandomOracle(kWhat, party_.scope())
                          .field(step.name)
                          .field(held == nullptr ? std::string() : held->next)
                          .field(uint64_t{held == nullptr ? 0 : held->connection->sequence()})
                          .field(uint64_t{ends_at(step.host)})
                          .digest();
  for (const PartyId j : party_.peers()) party_.send(j, kWhat, mine);
  for (const PartyId j : party_.peers()) {
    if (party_.receive(j, kWhat, mine.size()) == Bytes(mine.begin(), mine.end())) continue;
    throw ProtocolAbort(AbortCode::kDisagreement, kWhat,
                        "this member holds another connection, or none, for " + step.name, j);
  }
}

std::unique_ptr<agent::Connection> FlowConnections::take(const flow::Step& step,
                                                         agent::Timeline& timeline) {
  if (straight_on_ != std::pair(step.line, step.index)) held_.clear();
  straight_on_.reset();
  if (step.previous_on_connection.empty()) return nullptr;
  const auto found = held_.extract(step.host);
  Held* const held = found.empty() ? nullptr : &found.mapped();
  agree(step, held);
  if (held == nullptr || held->next != step.name) return nullptr;
  if (held->connection->stands(timeline)) return std::move(held->connection);
  note_end(step);
  return nullptr;
}

void FlowConnections::note_answer(const flow::Step& step, bool is_ok) {
  straight_on_.reset();
  if (!is_ok) return held_.clear();
  straight_on_.emplace(step.line, step.index + 1);
}

void FlowConnections::hold(const flow::Step& step, std::unique_ptr<agent::Connection> left) {
  if (left == nullptr) return note_end(step);
  held_.insert_or_assign(step.host, Held{std::move(left), step.next_on_connection});
}

}  // namespace flexroom::room
