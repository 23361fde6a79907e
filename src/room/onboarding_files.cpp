#include "room/onboarding_files.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "agreement/time.h"
#include "base/base64.h"
#include "base/error.h"
#include "base/hex_digest.h"
#include "base/private_file.h"
#include "config/checked_text.h"
#include "config/toml.h"
#include "http/sigv4.h"

namespace flexroom::room {
namespace {

constexpr int64_t kFormat = 1;
constexpr size_t kMaxCertificateBytes = 4096;

void check_format(const TomlTable& table) { (void)table.integer("format", kFormat, kFormat); }

Digest checked_digest(const TomlTable& table, std::string_view key) {
  return *digest_of_hex(config::checked_hex(table, key, 64, "take the file as it was made"));
}

MemberEntry entry_of(const TomlTable& table) {
  MemberEntry out;
  out.name = config::checked_name(table, "name");
  out.address = parse_address(table.text("address"), table.place("address"));
  out.certificate_sha256 =
      config::checked_hex(table, "certificate", 64, "take the file as it was made");
  return out;
}

std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

}  // namespace

std::string read_onboarding(const std::filesystem::path& file, std::string_view missing_remedy) {
  return read_own_file(file, kMaxOnboardingBytes, missing_remedy);
}

std::string entry_text(const MemberEntry& member) {
  return fmt::format("\n[[member]]\nname = \"{}\"\naddress = \"{}\"\ncertificate = \"{}\"\n",
                     member.name, to_string(member.address), member.certificate_sha256);
}

RoomConfig parse_draft(const std::string& text, const std::filesystem::path& file) {
  const TomlTable root = TomlTable::parse(text, file.string());
  RoomConfig out = RoomConfig::draft(root, file);
  root.finish();
  return out;
}

// ------------------------------------------------------------------------------- invitation

Invitation Invitation::load(const std::filesystem::path& file) {
  Invitation out;
  out.text = read_onboarding(file, "name the file that the founder of the room sent");
  out.digest = sha256(as_bytes(out.text));
  const TomlTable root = TomlTable::parse(out.text, file.string());
  const TomlTable head = root.table("invitation");
  check_format(head);
  out.expires = std::chrono::system_clock::to_time_t(
      http::parse_amz_date(head.text("expires"), head.place("expires")));
  head.finish();
  out.room = RoomConfig::draft(root, file);
  root.finish();
  for (const MemberEntry& member : out.room.members) {
    (void)parse_address(to_string(member.address), file.string());
  }
  return out;
}

std::string Invitation::write(const std::string& draft, const std::string& room, int64_t expires) {
  return fmt::format(
      "# An invitation to the room {}: `flexroom room join THIS-FILE` (docs/onboarding.md).\n"
      "# There is no secret in it. Who is who, people compare by telephone afterwards.\n"
      "[invitation]\nformat = {}\nexpires = \"{}\"\n\n{}",
      room, kFormat, amz_date(expires), draft);
}

// ------------------------------------------------------------------------------------ reply

Reply Reply::load(const std::filesystem::path& file) {
  const std::string text = read_onboarding(file, "name the file that the joining member sent");
  const TomlTable root = TomlTable::parse(text, file.string());
  const TomlTable head = root.table("reply"), member = root.table("member");
  check_format(head);
  Reply out;
  out.invitation = checked_digest(head, "invitation");
  out.member = entry_of(member);
  const std::string encoded = member.text("certificate_der");
  const auto der =
      encoded.size() > 2 * kMaxCertificateBytes ? std::nullopt : base64_decode(encoded);
  if (!der)
    member.fail("certificate_der", "is no certificate in base64", "take the file as it was made");
  if (sha256(*der) != out.member.certificate()) {
    member.fail("certificate", "is not the fingerprint of `certificate_der`",
                "somebody altered the file on its way: have it sent again, another way");
  }
  out.key = net::signing_key_of(*der, member.place("certificate_der"));
  head.finish();
  member.finish();
  root.finish();
  return out;
}

std::string Reply::write(const Digest& invitation, const MemberEntry& member,
                         const net::Identity& identity) {
  return fmt::format(
      "# The reply of {0}: `flexroom room add THIS-FILE` at the founder (docs/onboarding.md).\n"
      "# There is no secret in it.\n"
      "[reply]\nformat = {1}\ninvitation = \"{2}\"\n\n"
      "[member]\nname = \"{0}\"\naddress = \"{3}\"\ncertificate = \"{4}\"\ncertificate_der = "
      "\"{5}\"\n",
      member.name, kFormat, to_hex(invitation), to_string(member.address),
      member.certificate_sha256, base64_encode(identity.certificate_der()));
}

// ------------------------------------------------------------------------------------ words

ComparedWords ComparedWords::load(const std::filesystem::path& file) {
  ComparedWords out;
  std::error_code ignored;
  if (!std::filesystem::exists(std::filesystem::symlink_status(file, ignored))) return out;
  const std::string text = read_onboarding(file, "");
  const TomlTable root = TomlTable::parse(text, file.string());
  check_format(root);
  out.done = root.flag_or("done", false);
  for (const TomlTable& table : root.tables("compared")) {
    One one;
    one.member = config::checked_name(table, "member");
    one.certificate = config::checked_hex(table, "certificate", 64, "take the file away");
    one.text = checked_digest(table, "text");
    table.finish();
    out.all.push_back(std::move(one));
  }
  root.finish();
  return out;
}

std::string ComparedWords::write() const {
  std::string out = fmt::format(
      "# Whose words this member's person compared by telephone (`flexroom room words`).\n"
      "format = {}\ndone = {}\n",
      kFormat, done);
  for (const One& one : all) {
    out += fmt::format("\n[[compared]]\nmember = {}\ncertificate = \"{}\"\ntext = \"{}\"\n",
                       quoted(one.member), one.certificate, to_hex(one.text));
  }
  return out;
}

}  // namespace flexroom::room
