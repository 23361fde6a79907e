#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agreement/proposal.h"
#include "base/hash.h"
#include "net/identity.h"
#include "net/party.h"

namespace flexroom::agreement {

/// What shows to anybody who has the members' keys that all of them approved a proposal.
struct Approval {
  Digest digest{};                         // of the proposal
  Digest session{};                        // sid: one approval is for one run
  Bytes proposal;                          // its canonical form
  std::vector<net::Signature> signatures;  // [n], over (session, digest)

  Bytes encode() const;
  /// Throws InputError at `place`.
  static Approval decode(ByteView bytes, const std::string& place);
};

enum class Answer : uint8_t {
  kNo,  // refused, for good
  kYes,
  kNotNow  // nobody is there to decide: ends like a refusal, but refuses nothing
};

/// What a member says and keeps while the members agree.
struct Deciding {
  /// Asked once, when all members propose the same; a no may have a reason. Empty function: yes.
  std::function<Answer(std::string& reason)> decide;
  /// What a member is called. Empty function: its number.
  std::function<std::string(PartyId)> name;
  /// This member said no: the bytes that tell the others so (its signed REJECT, already in its
  /// log). At most kMaxRefusalBytes.
  std::function<Bytes(const Digest& proposal, const std::string& reason)> refused;
  /// Another member said no with these bytes; returns its reason. Throws if they prove nothing.
  std::function<std::string(PartyId who, const Digest& proposal, ByteView refusal)> heard_refusal;
  /// Every member answered yes here; called before the answers of the others are waited for.
  std::function<void()> waiting;
};
inline constexpr size_t kMaxRefusalBytes = 4096;

/// All members propose the same; then each decides, and signs for this session
/// (party.scope().sid) or says no. Throws
///  - kDisagreement naming the fields that differ with both values, unless private; nobody was
///    asked and nothing signed,
///  - kRefusedByRule when this member or a peer said no (the peer is named), or a signature is
///    wrong.
/// Then nothing was approved here.
Approval agree(net::Party& party, const net::Identity& identity,
               const std::vector<net::SigningKey>& keys, const Proposal& proposal,
               const Deciding& deciding);

/// agree() of a member that has decided: yes.
Approval approve(net::Party& party, const net::Identity& identity,
                 const std::vector<net::SigningKey>& keys, const Proposal& proposal);

/// All members' signatures are right, and the digest is that of the proposal.
bool verify_approval(const Approval& approval, const std::vector<net::SigningKey>& keys);

}  // namespace flexroom::agreement
