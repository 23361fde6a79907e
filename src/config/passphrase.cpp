#include "config/passphrase.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "base/ct.h"
#include "base/display.h"
#include "base/error.h"
#include "base/private_file.h"
#include "config/terminal.h"

namespace flexroom {
namespace {

constexpr size_t kMaxBytes = 1024;
constexpr std::string_view kForms =
    "write \"prompt\", \"file:PATH\", \"fd:N\" or \"credential:NAME\"; the passphrase itself never "
    "stands here";

/// Up to a newline or the end, byte by byte: what follows is not ours.
SecretBytes read_line(int fd, std::string_view place) {
  SecretBytes buffer(kMaxBytes);
  size_t size = 0;
  while (true) {
    uint8_t byte = 0;
    const ssize_t got = ::read(fd, &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw InputError(place, std::string("cannot be read: ") + std::strerror(errno));
    }
    if (got == 0 || byte == '\n') break;
    if (size == kMaxBytes) throw InputError(place, "holds more than 1024 bytes in its first line");
    buffer.writable()[size++] = byte;
    wipe(&byte, 1);
  }
  return SecretBytes::copy_of(buffer.reveal().first(size));
}

SecretBytes read_descriptor(int fd, const std::string& place) {
  if (isatty(fd) != 0) {
    throw InputError(place, "is a terminal, which would show the passphrase",
                     "use \"prompt\" there");
  }
  SecretBytes line = read_line(fd, place);
  if (line.empty()) throw InputError(place, "holds no passphrase");
  return line;
}

SecretBytes read_file(const std::filesystem::path& file) {
  const Fd fd = open_private_file(file, "the file holds the passphrase in its first line");
  return read_descriptor(fd.get(), file.string());
}

SecretBytes read_credential(const std::string& name) {
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr) {
    throw InputError("credential " + name, "is not there: the service got no credentials",
                     fmt::format("put LoadCredential={}:PATH into the unit", name));
  }
  return read_file(std::filesystem::path(directory) / name);
}

SecretBytes prompt(std::string_view question, bool twice) {
  constexpr std::string_view kPlace = "passphrase";
  std::optional<Terminal> terminal = Terminal::controlling();
  if (!terminal) {
    throw InputError("passphrase", "there is no terminal to ask at",
                     "run it in a terminal, or let state_passphrase in member.toml name a "
                     "\"file:PATH\", \"fd:N\" or \"credential:NAME\"");
  }
  SecretBytes first = ask_unseen(*terminal, question, kPlace);
  if (twice) {
    const SecretBytes second = ask_unseen(*terminal, "the same again", kPlace);
    if (!ct_equal(first.reveal(), second.reveal())) {
      throw InputError("passphrase", "the two are not alike", "run the command again");
    }
  }
  return first;
}

}  // namespace

PassphraseSource PassphraseSource::parse(std::string_view text, std::string_view place,
                                         const std::filesystem::path& base) {
  PassphraseSource out;
  if (text == "prompt") return out;
  const size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const std::string value(colon == std::string_view::npos ? "" : text.substr(colon + 1));
  const char* end = value.data() + value.size();
  const auto plain = [](char c) { return c > 0x20 && c < 0x7f && c != '/'; };
  if (kind == "file" && !value.empty()) {
    out.kind = Kind::kFile;
    out.file = base / value;  // an absolute path replaces the base
  } else if (kind == "fd" && std::from_chars(value.data(), end, out.descriptor).ptr == end &&
             out.descriptor >= 0) {
    out.kind = Kind::kDescriptor;
  } else if (kind == "credential" && !value.empty() && value.front() != '.' &&
             std::all_of(value.begin(), value.end(), plain)) {
    out.kind = Kind::kCredential;
    out.credential = value;
  } else {
    throw InputError(place, "is no source of a passphrase", kForms);
  }
  return out;
}

std::string PassphraseSource::text() const {
  switch (kind) {
    case Kind::kPrompt:
      return "prompt";
    case Kind::kFile:
      return "file:" + file.string();
    case Kind::kDescriptor:
      return fmt::format("fd:{}", descriptor);
    case Kind::kCredential:
      return "credential:" + credential;
  }
  return "";
}

SecretBytes read_passphrase(const PassphraseSource& source, std::string_view question, bool twice) {
  switch (source.kind) {
    case PassphraseSource::Kind::kPrompt:
      return prompt(question, twice);
    case PassphraseSource::Kind::kFile:
      return read_file(source.file);
    case PassphraseSource::Kind::kDescriptor:
      return read_descriptor(source.descriptor, source.text());
    case PassphraseSource::Kind::kCredential:
      return read_credential(source.credential);
  }
  throw InputError("passphrase", "has no source");
}

}  // namespace flexroom
