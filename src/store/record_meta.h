#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/codec.h"
#include "base/hash.h"
#include "store/limits.h"

namespace flexroom::store {

using RecordId = std::array<uint8_t, 16>;
/// Which rows belong together: RO("set", sid, counter) of the session that made them
/// (members.md §3.1). Zero: no rows.
using RowSet = std::array<uint8_t, 16>;

/// How a secret came to be. What is on disk of before there were others was given.
enum class Descent : uint8_t {
  kGiven = 0,  // by a member, or an issuer in shares
  kBorn = 1,   // drawn inside MPC: nobody ever knew it (tls-in-mpc.md §5.2a)
  kKept = 2,   // of a service's sealed answer: no member ever knew it (operations.md (a) `keep`)
};
inline constexpr Descent kLastDescent = Descent::kKept;

/// Kinds that begin so are of values that flows made (flow/run_store.h), and of no others.
inline constexpr std::string_view kFlowKind = "flow ";

/// What everybody may know about a secret; equal at all members.
struct RecordMeta {
  Digest epoch{};  // of its global keys; zero for rows, which depend on none
  RecordId id{};   // agreed by all members
  uint32_t version = 1;
  std::string name, kind, value_class;
  uint32_t bits = 0;
  Digest provenance{};  // proposal that made it
  /// Where in requests it may stand and what is computed with it (tls-in-mpc.md §5.1;
  /// call/purpose.h). Empty: it is usable nowhere.
  std::vector<std::string> purposes;
  uint32_t entropy = 0;  // bits of min-entropy that all members believe it has (§3.4(i))
  std::string provider;  // [provider.NAME] of room.toml whose hosts may get it
  std::string owner;     // the member who gave the value; empty: shares of an issuer
  RowSet set{};
  Descent descent = Descent::kGiven;

  /// A flow made it: RunStore's commits decide about it, not this store's two phases.
  bool is_of_flow() const { return kind.starts_with(kFlowKind); }

  Bytes encode() const;
  /// Of this member's own disk: throws InputError.
  static RecordMeta decode(ByteView bytes);
  /// Of a peer's message: throws ProtocolAbort naming it.
  static RecordMeta decode_from(ByteView bytes, std::string_view label, PartyId peer);
  Digest digest() const;
  /// Of this version of this secret, in whatever epoch and set it is: what is derived from it
  /// belongs to it by this.
  Digest origin() const;
};

/// More than any encode() gives.
inline constexpr size_t kMaxMetaBytes =
    1024 + 5 * kMaxMetaTextBytes + kMaxPurposes * (kMaxPurposeBytes + 4);

/// The first field in which two members' descriptions differ, as a person calls it; empty: none.
std::string_view first_difference(const RecordMeta& mine, const RecordMeta& theirs);

}  // namespace flexroom::store
