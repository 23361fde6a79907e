#include "cli/people_voices.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "base/private_file.h"
#include "cli/screen.h"
#include "config/passphrase.h"
#include "people/exchange.h"
#include "people/key_file.h"
#include "people/tickets.h"

namespace flexroom::cli {
namespace {

constexpr size_t kMaxSignatureFile = 64 << 10;

SecretBytes passphrase_for(Output& out, const Common& common, const std::filesystem::path& file) {
  if (!common.key_passphrase.empty()) {
    return read_passphrase(PassphraseSource::parse(common.key_passphrase, "--key-passphrase", "."),
                           "", false);
  }
  auto typed = out.ask_secret("Passphrase of " + file.string());
  if (typed) return std::move(*typed);
  throw InputError(file.string(), "is sealed, and nobody is here to type its passphrase",
                   "--key-passphrase file:PATH, fd:N or credential:NAME");
}

std::string joined_names(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names.begin(), names.end(), ", "));
}

}  // namespace

void require_people(const Common& common) {
  if (!common.sign_with.empty() || !common.voices.empty()) return;
  throw InputError("approval",
                   "this member's approvals are signatures of its people (`flexroom people show`); "
                   "neither --yes nor auto_approve stands for them",
                   "--sign-with KEYFILE of a person here, --voices FOLDER for persons elsewhere");
}

void write_exchange_file(const std::filesystem::path& file, const std::string& text) {
  // Whoever waits for it sees all of it or nothing.
  const std::filesystem::path part = file.string() + ".part";
  std::error_code ignored;
  std::filesystem::remove(part, ignored);
  if (!write_new_file(part, as_bytes(text)) || std::rename(part.c_str(), file.c_str()) != 0) {
    throw InputError(file.string(), std::string("cannot be written: ") + std::strerror(errno));
  }
}

std::string signers(const Common& common, const PeopleVoices& voices) {
  std::vector<std::string> names;
  for (const std::filesystem::path& file : common.sign_with) {
    const std::string name = voices.person_with(to_hex(people::KeyFile::public_key(file).bytes));
    if (name.empty()) {
      throw InputError(file.string(), "is a key that nobody of this member has enrolled",
                       "`flexroom people show` lists the keys");
    }
    names.push_back(name);
  }
  return "the keys of " + joined_names(names);
}

people::Voice signed_with(Output& out, const Common& common, const std::filesystem::path& file,
                          ByteView st) {
  const people::KeyFile key =
      people::KeyFile::load(file, [&] { return passphrase_for(out, common, file); });
  return key.sign(st);
}

void sign_here(Output& out, const Common& common, const std::filesystem::path& file,
               PeopleVoices& voices) {
  const std::string name = voices.person_with(to_hex(people::KeyFile::public_key(file).bytes));
  if (name.empty()) (void)signers(common, voices);  // says which
  const auto request = people::Request::parse(voices.request(name), "request");
  voices.add(people::voice_text(signed_with(out, common, file, request.st)));
  out.note(fmt::format("signed by {}", name));
}

bool await_voices(Output& out, const std::filesystem::path& folder, PeopleVoices& voices,
                  const std::atomic<bool>& stop) {
  const auto until = std::chrono::steady_clock::now() + people::Tickets::kLife;
  make_private_folder(folder);
  std::vector<std::string> asked = voices.missing();
  for (const std::string& name : asked) {
    std::error_code ignored;  // of an earlier request: it would only be refused
    std::filesystem::remove(folder / (name + ".signature"), ignored);
    write_exchange_file(folder / (name + ".request"), voices.request(name));
  }
  out.note(
      fmt::format("{} more of {} must sign: requests lie in {}; signatures are awaited there "
                  "for ten minutes",
                  voices.needed(), joined_names(asked), folder.string()));
  while (voices.needed() > 0 && !stop && std::chrono::steady_clock::now() < until) {
    for (const std::string& name : asked) {
      const std::filesystem::path file = folder / (name + ".signature");
      if (!std::filesystem::exists(file)) continue;
      try {
        voices.add(read_own_file(file, kMaxSignatureFile, ""));
        std::filesystem::remove(file);
        out.note(fmt::format("signed by {}", name));
      } catch (const std::exception& error) {
        out.note(fmt::format("{}: does not count: {}", file.string(), error.what()));
        std::filesystem::rename(file, folder / (name + ".refused"));
      }
      if (voices.needed() == 0) break;
    }
    if (voices.needed() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  for (const std::string& name : asked) {
    std::error_code ignored;
    std::filesystem::remove(folder / (name + ".request"), ignored);
  }
  return voices.needed() == 0;
}

}  // namespace flexroom::cli
