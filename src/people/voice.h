#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "people/person_statement.h"
#include "people/rule.h"
#include "people/webauthn.h"

namespace flexroom::people {

/// One signature of one person: an entry of EV (members.md 7.5).
struct Voice {
  static constexpr size_t kMaxBytes = 16 << 10;
  Bytes st;                  // PersonStatement::encode(), as it was signed
  Bytes key_id;              // Key::id()
  Bytes authenticator_data;  // of a key file empty
  Bytes client_data;         // of a key file empty
  Bytes signature;
  bool operator==(const Voice&) const = default;
  Bytes encode() const;
  /// Throws InputError at `place`.
  static Voice decode(ByteView bytes, std::string_view place);
};

/// A voice that is right by itself.
struct VerifiedVoice {
  PersonStatement st;
  uint32_t sign_count = 0;  // 0 of a key file, and of synced passkeys
};

/// All checks of 7.3 that need nothing but the voice and a rule: key enrolled, signature and (of
/// WebAuthn) verify_assertion(), person of the key = person of st, room and member, role given to
/// her and in its quorum, rule version that of `rule`. Not: ticket, counter (Polling, desk.h).
/// Throws VoiceRefused.
VerifiedVoice verify_voice(const Rule& rule, const Voice& voice,
                           const std::vector<RelyingParty>& parties);

/// Voices of one matter, counted by persons (M41: two keys of one person are one voice).
class Tally {
 public:
  /// Of the quorum that `matter` asks for, under `rule`. `proposer`: of this
  /// member, who does not count where the rule says not_own; empty: nobody.
  Tally(Rule rule, PersonStatement matter, std::string proposer = "");
  /// A verified voice. Throws VoiceRefused (kMatter) where st is about anything else (M41: voices
  /// for different windows do not add up).
  void add(const PersonStatement& st);
  size_t count() const { return persons_.size(); }
  size_t needed() const;
  bool enough() const { return count() >= needed(); }
  /// Who may still speak.
  std::vector<std::string> missing() const;

 private:
  Rule rule_;
  PersonStatement matter_;
  std::string proposer_;
  std::vector<std::string> persons_;
};

}  // namespace flexroom::people
