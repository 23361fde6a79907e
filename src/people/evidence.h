#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agreement/people_bodies.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "people/voice.h"

namespace flexroom::people {

/// EV with its salt: what stands behind an APPROVE or RULE of this member (members.md §7.5). Kept
/// at home, opened by an export with evidence.
struct Evidence {
  static constexpr size_t kMaxVoices = Rule::kMaxPersons;
  static constexpr size_t kMaxBytes = 1 << 20;
  std::array<uint8_t, 16> salt{};  // without it, two-person rules are found by trying names
  std::vector<Voice> voices;

  /// With a fresh salt.
  static Evidence of(std::vector<Voice> voices);
  bool operator==(const Evidence&) const = default;
  Bytes encode() const;  // salt, EV
  static Evidence decode(ByteView bytes, std::string_view place);
  /// ev = RO("evidence", salt, EV).
  Digest commitment() const;
};

/// What an opened evidence shows: who signed.
struct Shown {
  std::vector<std::string> persons;
};

/// The evidence opens the commitment in `body`, all its voices are of persons of `rule` about
/// exactly this body (kind APPROVE, D, terms, versions, window, rule version), and they are enough.
/// `parties`: whose origins are taken; empty: any (a verifier elsewhere cannot know them; they are
/// in clientDataJSON). `newest_reset`: the newest version up to `rule` that is a reset, 0: none; no
/// voice of before counts behind it. Throws InputError at `place`.
Shown verify_evidence(const agreement::ApproveBody& body, const Evidence& evidence,
                      const Rule& rule, uint32_t newest_reset,
                      const std::vector<RelyingParty>& parties, std::string_view place);
/// Of a RULE: `document` is the one in `body`; it follows from `before` and enough administrators
/// signed under that, unless it is the first one or a reset, which have no voices.
Shown verify_evidence(const agreement::RuleBody& body, const Evidence& evidence,
                      const Rule& document, const Rule* before,
                      const std::vector<RelyingParty>& parties, std::string_view place);

/// After a change of the rule (members.md 7.5, M44): an approval that stands is judged again. The
/// voices of it that hold under `now` (they were right when they came; person and key are still
/// there, in the quorum), with a fresh salt, if they are enough: sign APPROVE anew with rule
/// version `now.version` and these. Nothing, and always where a reset came since (`newest_reset` as
/// above): withdraw ("rule changed"). `proposer` as in Tally.
std::optional<Evidence> judged_again(const Rule& now, uint32_t newest_reset,
                                     const Evidence& evidence, const std::string& proposer = "");

}  // namespace flexroom::people
