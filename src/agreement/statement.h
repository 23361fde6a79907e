#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agreement/approval.h"
#include "agreement/change.h"
#include "agreement/configuration.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "net/identity.h"

// Statements: what a member signs for others to keep. Its own log is the chain of its statements
// (members.md §5.1, §5.4, Appendix A; docs/log-format.md).

namespace flexroom::agreement {

enum class StatementKind : uint8_t {
  kPropose = 1,
  kInput,
  kApprove,
  kReject,
  kWithdraw,
  kRule,
  kResult,
  kReady,
  kBind,
  kLeft,
  kVoid,
  kOld,
  kNote,
  kStart,
  kChange  // 15
};
std::string_view to_string(StatementKind kind);

/// The form of a statement's text; it stands in the domain of its signature.
inline constexpr uint8_t kStatementFormat = 1;
/// Statements and bodies are at most this long.
inline constexpr size_t kMaxStatementBytes = 4 << 20;
inline constexpr size_t kMaxReasonBytes = 1024;
inline constexpr size_t kMaxNoteBytes = 4096;

/// (room, author, incarnation, number, digest of the previous own statement, time, kind, body),
/// with the author's Ed25519 signature. Two of one author, incarnation and number prove that it
/// speaks with two tongues, or was restored.
struct Statement {
  Digest room{};
  MemberId author{};
  uint32_t incarnation = 0;  // another one when the author lost what it had signed before
  uint64_t number = 0;       // from 1
  Digest previous{};         // of number 1: zeros
  uint64_t time = 0;         // seconds since 1970
  StatementKind kind = StatementKind::kNote;
  Bytes body;
  net::Signature signature{};

  /// What is signed.
  Bytes text() const;
  /// RO("statement", text).
  Digest digest() const;
  Bytes encode() const;  // text and signature
  /// Throws InputError at `place`; does not verify the signature.
  static Statement decode(ByteView bytes, std::string_view place);
  void sign(const net::Identity& identity);
  bool verify(const net::SigningKey& key) const;
};

/// START: all members approved this proposal, in one session. What came of it stands in a RESULT.
struct StartBody {
  Digest configuration{};  // C_g, whose members signed, in its order
  Approval approval;
  Bytes encode() const;
  static StartBody decode(ByteView body, std::string_view place);
};

/// REJECT: this member said no to a proposal.
struct RejectBody {
  Digest proposal{};
  std::string reason;
  Bytes encode() const;
  static RejectBody decode(ByteView body, std::string_view place);
};

enum class Outcome : uint8_t {
  kDone,                   // and the service's answer says so
  kNothingHappened,        // nothing reached the provider
  kEffectMayHaveHappened,  // a request may have been carried out; nobody knows
  kFailed                  // the answer is here and is an error, or the script failed
};
std::string_view to_string(Outcome outcome);

/// RESULT: what came of a proposal. All members sign one together where all are there; alone
/// otherwise (then `signatures` is empty).
struct ResultBody {
  Digest proposal{};
  Digest run{};  // sid of its START; zeros: there was none
  Outcome outcome = Outcome::kNothingHappened;
  uint32_t status = 0;  // HTTP status of the answer; 0: none
  std::string text;     // what was done; no secrets
  // Of a joint one: where it was signed, each place once.
  Digest session{};
  uint64_t place = 0;
  std::vector<net::Signature> signatures;  // [n], over joint_text()
  bool joint() const { return !signatures.empty(); }

  /// What all members sign: everything but the signatures, with room and time.
  Bytes joint_text(const Digest& room, uint64_t time) const;
  Bytes encode() const;
  static ResultBody decode(ByteView body, std::string_view place);
};
net::Signature sign_result(const net::Identity& identity, ByteView joint_text);
bool verify_result(const net::SigningKey& key, ByteView joint_text,
                   const net::Signature& signature);

/// NOTE: what this member has to say alone; `statement` is another member's statement that proves
/// it (a refusal), or empty.
struct NoteBody {
  Digest proposal{};  // zeros: about none
  std::string text;
  Bytes statement;
  Bytes encode() const;
  static NoteBody decode(ByteView body, std::string_view place);
};

/// CHANGE: this configuration holds from here on. What shows it is, of a room's first one and of
/// what members agree when they meet (form 1), the signatures of all its members; of a change
/// through the switch (form 2, members.md §4.2, §5.4) its START, READY of all members, BIND of all
/// that stay, and LEFT of who said so.
struct ChangeBody {
  Configuration configuration;
  std::vector<net::Signature> signatures;  // form 1: [n], over C_g, each by the key of CONF_g
  std::optional<ChangeStart> start;        // form 2
  std::vector<Statement> statements;       // form 2: of one attempt, by author and kind ascending
  /// Throws InputError at `place` naming what is missing or wrong.
  void require_valid(std::string_view place) const;
  bool verify() const;
  Bytes encode() const;
  static ChangeBody decode(ByteView body, std::string_view place);
};

}  // namespace flexroom::agreement
