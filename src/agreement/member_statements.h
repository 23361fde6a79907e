#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agreement/approval.h"
#include "agreement/configuration.h"
#include "agreement/people_bodies.h"
#include "agreement/statement.h"
#include "base/bytes.h"
#include "base/hash.h"

// What members state about proposals that wait, and what names such a proposal and its runs
// (members.md §6.1, §6.2, §8.1, Appendix A). The body of PROPOSE is the proposal's canonical bytes,
// nothing else.

namespace flexroom::agreement {

/// More than any slot's public part takes.
inline constexpr size_t kMaxInputBytes = 32768;

/// INPUT: what its author gives for one slot of a proposal: the public part in full, the private
/// part as a commitment (zeros: there is none).
struct InputBody {
  Digest proposal{};  // D0
  std::string slot;
  Bytes public_part;
  Digest commitment{};
  Bytes encode() const;
  /// Throws InputError at `place`, as all decode() here.
  static InputBody decode(ByteView body, std::string_view place);
};

/// WITHDRAW: of its own proposal, for good; or of its own approval, which it may give again.
struct WithdrawBody {
  enum class What : uint8_t { kProposal, kApproval };
  Digest complete{};  // D; of a proposal that is not complete D0
  What what = What::kProposal;
  Bytes encode() const;
  static WithdrawBody decode(ByteView body, std::string_view place);
};

/// D = RO("complete", D0, INPUTs): of a proposal whose wanted inputs are there, in the order of its
/// members and slots. Only D is approved.
struct GivenInput {
  MemberId member{};
  InputBody body;
};
Digest complete_digest(const Digest& proposal, const std::vector<GivenInput>& inputs);
/// Lines for people, behind the text of the proposal. `names`: of their members, in this order, as
/// somebody says; the ids are what is signed.
std::string inputs_text(const std::vector<GivenInput>& inputs,
                        const std::vector<std::string>& names = {});

/// RO("run", rid, D, i): what the marks of a run go by (members.md §8.1).
Digest run_id(const Digest& room, const Digest& complete, uint32_t index);

/// RO("commitment", slot, nonce, value): hides a private part under a fresh nonce.
Digest input_commitment(std::string_view slot, const std::array<uint8_t, 16>& nonce,
                        ByteView value);

/// Flow 1 of START of one member (members.md §8.2, "START 1").
struct StartSaying {
  static constexpr size_t kMaxReady = 512, kMaxUnresolved = 512;
  static constexpr uint8_t kLastPlace = 6;
  struct Run {
    Digest id{};
    uint32_t tries = 0;
    bool operator==(const Run&) const = default;
  };
  Digest configuration{};  // C_g
  uint8_t place = 0;       // of the register (members.md 4.2): 0 idle .. 6 left
  uint32_t incarnation = 0;
  uint64_t session_counter = 0;
  // The run that this member would choose; D zeros: none.
  Digest complete{};
  uint32_t index = 0, try_number = 0;
  Digest statements{};  // RO of all that counts about D
  Answer decision = Answer::kNotNow;
  uint64_t now = 0;
  std::vector<Run> ready;          // ascending by id
  std::vector<Digest> unresolved;  // ascending

  Bytes encode() const;
  /// Refuses what encode() would not write. Throws InputError at `place`.
  static StartSaying decode(ByteView bytes, std::string_view place);
};

/// Form 2 of START: what every member said in flow 1 (inbox/start.h), and all signatures over
/// (session, RO("start", flow 1 of all, in order of CONF)). The bytes of the proposal stand in its
/// PROPOSE.
struct JointStart {
  static constexpr size_t kMaxSayingBytes = 64 << 10;
  Digest configuration{};  // C_g
  Digest complete{};       // D
  uint32_t index = 0;
  Digest session{};
  std::vector<Bytes> sayings;              // [n]
  std::vector<net::Signature> signatures;  // [n]

  Digest digest() const;  // RO("start", sayings)
  /// All members said that they begin this run under this configuration, and signed what all said.
  bool verify(const std::vector<net::SigningKey>& keys) const;
  Bytes encode() const;
  static JointStart decode(ByteView body, std::string_view place);
};
/// The body of a START of that form.
bool is_joint_start(ByteView body);
Digest start_digest(const std::vector<Bytes>& sayings);
/// START 2: over (session, start_digest()), in the domain of Approval, whose place it takes.
net::Signature sign_start(const net::Identity& identity, const Digest& session,
                          const Digest& digest);
bool verify_start(const net::SigningKey& key, const Digest& session, const Digest& digest,
                  const net::Signature& signature);

}  // namespace flexroom::agreement
