#pragma once

#include <array>
#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "agreement/statement.h"
#include "inbox/schedule.h"
#include "net/identity.h"

namespace flexroom::node {

/// What the operator of a member without people signs with the member's key (members.md §9.1):
/// whoever may read that file is the member anyway. Made by the node for one view, good for ten
/// minutes and one answer; a restart forgets all. So the socket alone gives nobody a voice (M48).
struct OperatorStatement {
  Digest room{};
  agreement::MemberId member{};
  agreement::StatementKind kind = agreement::StatementKind::kApprove;
  Digest what{};   // D; of REJECT and of WITHDRAW of a proposal that is not complete D0
  Digest terms{};  // terms in force
  inbox::Window window;
  std::string reason;  // of REJECT
  std::array<uint8_t, 16> ticket{};

  Bytes encode() const;
  /// Refuses what encode() would not write. Throws InputError at `place`.
  static OperatorStatement decode(ByteView bytes, std::string_view place);
  net::Signature sign(const net::Identity& identity) const;
  bool verify(const net::SigningKey& key, const net::Signature& signature) const;
};

/// The statements that this node would take a signature of.
class OperatorTickets {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::minutes kLife{10};
  static constexpr size_t kMostOpen = 1024;
  /// The statement with a fresh ticket. Throws HttpError(429) when too many are open.
  OperatorStatement issue(OperatorStatement statement, Clock::time_point now = Clock::now());
  /// Exactly that one is open here; never again afterwards.
  bool take(ByteView statement, Clock::time_point now = Clock::now());

 private:
  std::mutex mutex_;
  std::map<Bytes, Clock::time_point> open_;
};

}  // namespace flexroom::node
