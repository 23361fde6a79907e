#include "people/voice.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/codec.h"
#include "base/display.h"
#include "net/identity.h"
#include "people/voice_refused.h"

namespace flexroom::people {

using agreement::StatementKind;

namespace {

constexpr size_t kMaxStatement = 512;

Bytes read_bytes(Reader& in, size_t most) {
  const ByteView field = in.field(most);
  return Bytes(field.begin(), field.end());
}

uint32_t verify_signature(const Key& key, const Voice& voice,
                          const std::vector<RelyingParty>& parties) {
  const Digest challenge = challenge_of(voice.st);
  if (key.is_webauthn()) {
    return verify_assertion(key, {voice.authenticator_data, voice.client_data, voice.signature},
                            challenge, parties);
  }
  constexpr std::string_view kOfKeyFile = "signature of a key file";
  if (!voice.authenticator_data.empty() || !voice.client_data.empty()) {
    throw VoiceRefused(VoiceCheck::kForm, kOfKeyFile, "comes with what only a security key says");
  }
  net::SigningKey signer{};
  net::Signature signature{};
  if (voice.signature.size() != signature.size()) {
    throw VoiceRefused(VoiceCheck::kForm, kOfKeyFile, "is not 64 bytes long");
  }
  std::copy(key.bytes.begin(), key.bytes.end(), signer.begin());
  std::copy(voice.signature.begin(), voice.signature.end(), signature.begin());
  if (!net::verify(signer, kPersonDomain, challenge, signature)) {
    throw VoiceRefused(VoiceCheck::kSignature, kOfKeyFile, "is not one of the enrolled key");
  }
  return 0;
}

PersonStatement read_statement(ByteView st) {
  try {
    return PersonStatement::decode(st, "statement of a person");
  } catch (const InputError& error) {
    throw VoiceRefused(VoiceCheck::kForm, error.place(), error.problem());
  }
}

}  // namespace

Bytes Voice::encode() const {
  Writer out;
  out.field(st).field(key_id).field(authenticator_data).field(client_data).field(signature);
  return out.take();
}

Voice Voice::decode(ByteView bytes, std::string_view place) {
  Voice out;
  try {
    Reader in(bytes, place);
    out.st = read_bytes(in, kMaxStatement);
    out.key_id = read_bytes(in, Rule::kMaxCredential);
    out.authenticator_data = read_bytes(in, kMaxAuthenticatorData);
    out.client_data = read_bytes(in, kMaxClientData);
    out.signature = read_bytes(in, kMaxSignature);
    in.finish();
  } catch (const ProtocolAbort& abort) {
    throw InputError(place, abort.detail());
  }
  return out;
}

VerifiedVoice verify_voice(const Rule& rule, const Voice& voice,
                           const std::vector<RelyingParty>& parties) {
  VerifiedVoice out;
  out.st = read_statement(voice.st);
  const Rule::Holder holder = rule.holder(voice.key_id);
  const std::string place = "signature of " + out.st.person;
  if (holder.key == nullptr) {
    throw VoiceRefused(VoiceCheck::kUnknownKey, place, "is of a key that nobody enrolled",
                       "`flexroom people show` lists the keys");
  }
  out.sign_count = verify_signature(*holder.key, voice, parties);
  if (out.st.room != rule.room || out.st.member != rule.member) {
    throw VoiceRefused(VoiceCheck::kMatter, place, "is for another room or member");
  }
  if (holder.person->name != out.st.person) {
    throw VoiceRefused(VoiceCheck::kPerson, place,
                       fmt::format("was made with a key of {}", holder.person->name));
  }
  const std::vector<std::string>& of = rule.quorum(out.st.role)->of;
  if (!holder.person->has(out.st.role) ||
      std::find(of.begin(), of.end(), out.st.person) == of.end()) {
    throw VoiceRefused(VoiceCheck::kRole, place,
                       fmt::format("does not count: the rule does not let {} {}", out.st.person,
                                   to_string(out.st.role)));
  }
  if (out.st.rule_version != rule.version) {
    throw VoiceRefused(VoiceCheck::kRule, place,
                       fmt::format("was made under rule version {}, and {} holds now",
                                   out.st.rule_version, rule.version),
                       "have it shown again and sign again");
  }
  return out;
}

Tally::Tally(Rule rule, PersonStatement matter, std::string proposer)
    : rule_(std::move(rule)), matter_(std::move(matter)), proposer_(std::move(proposer)) {}

void Tally::add(const PersonStatement& st) {
  if (!st.same_matter(matter_)) {
    throw VoiceRefused(VoiceCheck::kMatter, "signature of " + st.person,
                       "is about something else, or for another window, than is asked");
  }
  const bool own = rule_.not_own && !proposer_.empty() && st.person == proposer_ &&
                   matter_.kind == StatementKind::kApprove;
  if (own || std::find(persons_.begin(), persons_.end(), st.person) != persons_.end()) return;
  persons_.push_back(st.person);
}

// A no takes one of those who could say yes.
size_t Tally::needed() const {
  const bool yes = matter_.kind == StatementKind::kApprove || matter_.kind == StatementKind::kRule;
  return yes ? rule_.quorum(matter_.role)->needed : 1;
}

std::vector<std::string> Tally::missing() const {
  std::vector<std::string> out;
  for (const std::string& name : rule_.quorum(matter_.role)->of) {
    const bool own = rule_.not_own && name == proposer_;
    if (!own && std::find(persons_.begin(), persons_.end(), name) == persons_.end()) {
      out.push_back(name);
    }
  }
  return out;
}

}  // namespace flexroom::people
