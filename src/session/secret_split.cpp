#include "session/secret_split.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/prg.h"
#include "base/private_file.h"
#include "base/wipe_text.h"
#include "config/config.h"
#include "http/text.h"
#include "session/secret_file.h"
#include "session/share_commitments.h"
#include "store/limits.h"

namespace flexroom::session {
namespace {

constexpr std::string_view kPlace = "secret split";

struct Share {
  SecretBytes share, salt;
};

void check_value(const SplitOptions& options, const SecretBytes& value) {
  if (value.empty() || value.size() > store::kMaxSecretBytes) {
    throw InputError(kPlace, fmt::format("the value has {} bytes", value.size()),
                     fmt::format("a secret has 1 to {}", store::kMaxSecretBytes));
  }
  const auto known = http::char_class_of(options.value_class);
  if (!known) {
    throw InputError("--class", "is none of the known ones", "use for example b64, hex or raw");
  }
  const http::CharSet& allowed = http::char_set(*known);
  const ByteView bytes = value.reveal();
  for (size_t at = 0; at < bytes.size(); ++at) {
    if (allowed.contains(bytes[at])) continue;
    const bool newline = bytes[at] == '\n' && at + 1 == bytes.size();
    throw InputError(kPlace,
                     fmt::format("byte {} of {} of the value is none of class {}", at + 1,
                                 bytes.size(), options.value_class),
                     newline ? "the value ends in a newline; `printf %s` leaves it out"
                             : "name the class that the value has");
  }
}

void check_members(const SplitOptions& options) {
  const std::set<std::string> different(options.members.begin(), options.members.end());
  if (options.members.size() < 2 || options.members.size() > store::kMaxMembers ||
      different.size() != options.members.size()) {
    throw InputError(kPlace, "the members are not 2 to 16 different names",
                     "name each member once, in the order of room.toml");
  }
  for (const std::string& name : options.members) {
    if (!is_name(name)) throw InputError(kPlace, "a member has no name", kNameRemedy);
  }
}

/// The last share is the XOR of the value and all others, which are uniform.
std::vector<Share> cut(const SecretBytes& value, size_t count) {
  Prg random = Prg::from_system();
  std::vector<Share> out(count);
  SecretBytes rest = value.clone();
  for (size_t i = 0; i < count; ++i) {
    out[i].salt = SecretBytes(kSaltBytes);
    random.fill(out[i].salt.writable());
    if (i + 1 == count) break;
    out[i].share = SecretBytes(value.size());
    random.fill(out[i].share.writable());
    const ByteView share = out[i].share.reveal();
    for (size_t k = 0; k < share.size(); ++k) rest.writable()[k] ^= share[k];
  }
  out.back().share = std::move(rest);
  return out;
}

/// What all files say alike, without the closing brace: names sorted, as nlohmann writes them.
std::string public_part(const SplitOptions& options, size_t length,
                        const std::vector<Share>& shares) {
  nlohmann::json fields{{"name", options.name},
                        {"kind", options.kind},
                        {"class", options.value_class},
                        {"length", length},
                        {"entropy", options.entropy}};
  if (!options.purposes.empty()) fields["purposes"] = options.purposes;
  if (!options.provider.empty()) fields["provider"] = options.provider;
  if (options.replaces != 0) fields["replaces"] = options.replaces;
  for (const Share& one : shares) {
    fields["commitments"].push_back(to_hex(share_commitment(one.salt, one.share)));
  }
  std::string out = fields.dump(1, ' ', true, nlohmann::json::error_handler_t::replace);
  out.erase(out.rfind('\n'));
  return out;
}

/// The file of one member; what passes through here on the way is wiped.
SecretBytes file_of(const std::string& head, const Share& own) {
  std::string share = to_hex(own.share.reveal()), salt = to_hex(own.salt.reveal());
  std::string text;
  text.reserve(head.size() + share.size() + salt.size() + 64);  // one that grows leaves copies
  text.append(head).append(",\n \"share\": \"").append(share);
  text.append("\",\n \"salt\": \"").append(salt).append("\"\n}\n");
  SecretBytes out = SecretBytes::copy_of(as_bytes(text));
  for (std::string* part : {&share, &salt, &text}) wipe_text(*part);
  return out;
}

void write_all_of(const std::vector<std::filesystem::path>& files, const std::string& head,
                  const std::vector<Share>& shares, std::vector<std::filesystem::path>& written) {
  for (size_t i = 0; i < files.size(); ++i) {
    if (!write_new_file(files[i], file_of(head, shares[i]).reveal())) {
      throw InputError(files[i].string(),
                       errno == EEXIST ? std::string("is there already; it is never overwritten")
                                       : std::string("cannot be written: ") + std::strerror(errno),
                       "name another folder with --dir");
    }
    written.push_back(files[i]);
  }
}

/// As each member will: what is refused there is refused here.
void read_back(const SplitOptions& options, const std::vector<std::filesystem::path>& files) {
  for (PartyId i = 0; i < files.size(); ++i) {
    try {
      const SecretFile file = SecretFile::load(files[i], options.members[i]);
      check_own_commitment(file, i, files.size(), kPlace);
    } catch (const InputError& error) {  // of a file that is gone by then
      throw InputError(kPlace, error.problem(), error.remedy());
    }
  }
}

}  // namespace

std::vector<std::filesystem::path> split_secret(const SplitOptions& options,
                                                const SecretBytes& value) {
  check_members(options);
  check_value(options, value);
  make_private_folder(options.folder);
  std::vector<std::filesystem::path> files, written;
  for (const std::string& member : options.members) {
    files.push_back(options.folder / (member + ".json"));
  }
  const std::vector<Share> shares = cut(value, files.size());
  try {
    write_all_of(files, public_part(options, value.size(), shares), shares, written);
    read_back(options, files);
  } catch (...) {
    for (const std::filesystem::path& file : written) wipe_file(file);
    throw;
  }
  return files;
}

}  // namespace flexroom::session
