#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/codec.h"
#include "base/hash.h"
#include "flow/flow.h"

// What a run is between two steps, and what one commit changes of it (operations.md (c)): equal at
// all members but for the bytes of secrets, which each holds its own share of.

namespace flexroom::flow {

/// 26 base32 characters, `{{run}}`: a coin of the run's first session.
using RunId = std::string;
inline constexpr size_t kRunIdChars = 26;
bool is_run_id(std::string_view text);
/// A run's id in a member's message: kBadFrame, naming the member, if it is none.
RunId read_run_id(Reader& in, std::string_view what, PartyId peer);
/// The first 26 base32 characters, lower case, of bytes that have 17 at least.
std::string base32_name(ByteView bytes);

struct Position {
  std::string line = "main";
  uint32_t index = 0;
  bool operator==(const Position&) const = default;
};

/// What all may know of a value.
struct ValueMeta {
  std::string name;
  bool is_public = false;
  uint32_t version = 1;
  /// Of a public value: SHA-256 of it; of a secret: which sharing it is, the same at all members.
  Digest tag{};
  ValueClass value_class = ValueClass::kRaw;
  uint32_t entropy = 0;
  std::vector<std::string> purposes;
  /// Bytes, of a secret: the least and the most that its birth or keep allows.
  uint32_t min = 0, max = 0;
  /// Drawn by all, whatever the file says that looks at it: nobody can make it again.
  bool born = false;
  /// The `provider` of the flow that made it: no other one's hosts get it, whatever its purposes
  /// say.
  std::string provider;
  /// The account of the ledger that tests on it are booked on: a place, not a version.
  std::string account;

  void put(Writer& out) const;
  static ValueMeta get(Reader& in);
  bool operator==(const ValueMeta&) const = default;
};

/// What a run is bound to from its first commit on.
struct RunHead {
  std::string prefix, flow;
  Digest file{}, births{};
  std::vector<Digest> steps;  // of the main line
  void put(Writer& out) const;
  static RunHead get(Reader& in);
  bool operator==(const RunHead&) const = default;
};
RunHead head_of(const Flow& flow);

struct RunState {
  RunId id;
  RunHead head;
  uint64_t commits = 0;
  Digest last{};  // of the last change
  Position at;
  uint32_t main = 0;  // index in the main line that was reached last
  std::map<std::string, uint32_t> attempts, refused;  // by step
  bool done = false;

  Bytes encode() const;
  /// Of this member's disk: throws InputError; of a peer's message (`peer`): ProtocolAbort.
  static RunState decode(ByteView bytes, std::optional<PartyId> peer = std::nullopt);
};

/// One commit. Number 1 has a head: the run begins.
struct Change {
  RunId run;
  uint64_t number = 0;
  Digest previous{};
  std::optional<RunHead> head;  // of the first, and of --continue with an edited file
  Position at;
  std::map<std::string, uint32_t> attempts, refused;  // whole
  std::string step, event;                            // for the log
  uint64_t time = 0;                                  // agreed
  struct NewValue {
    ValueMeta meta;
    bool to_room = false;  // else it is the run's
  };
  std::vector<NewValue> values;
  std::vector<std::string> voided;         // names of the room that are erased
  std::vector<std::string> voided_of_run;  // of the run
  std::string proves;                      // the run's values below it become the room's
  bool end = false;

  Bytes encode() const;
  static Change decode(ByteView bytes);
  Digest digest() const;
};

/// `{{idempotency}}` (operations.md (a)): the same at all members and after an unknown outcome,
/// another after each answered refusal.
std::string idempotency_id(const RunId& run, std::string_view step, uint64_t refused);

}  // namespace flexroom::flow
