#include <fmt/chrono.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>

#include "base/display.h"
#include "base/error.h"
#include "cli/commands.h"
#include "cli/screen.h"
#include "config/config.h"
#include "config/terminal.h"
#include "config/toml.h"
#include "store/limits.h"

// From nothing to a room, and what its members and issuers bring (docs/onboarding.md).

namespace flexroom::cli {
namespace {

int64_t now_of(const Common& common) { return common.clock ? common.clock() : std::time(nullptr); }

/// What was not given as an option is asked for.
std::string asked(Output& out, const std::string& given, std::string_view question,
                  std::string_view option) {
  if (!given.empty()) return given;
  watch_signals();
  const auto line = out.ask(question, std::nullopt, &cancel_flag(), {});
  if (!line) {
    throw InputError(option, "is missing, and nobody answered",
                     fmt::format("give {}, or run it in a terminal", option));
  }
  return to_text(line->reveal());
}

/// "--member FILE" where it is not the usual one.
std::string member_option(const std::filesystem::path& folder) {
  return folder == "." ? "" : fmt::format(" --member {}/member.toml", folder.string());
}

void show_own_words(Output& out, const std::string& words) {
  out.line(fmt::format(
      "\nThe four words of this member are\n\n    {}\n\nTell them to the others' people by "
      "telephone, never in a file or a mail: they show that nobody altered one on its way.",
      words));
}

nlohmann::json fields_of(const OnboardingStep& step) {
  nlohmann::json out{{"ok", true}, {"file", step.file.string()}, {"was_there", step.was_there}};
  if (step.of != 0) out.update({{"members", step.members}, {"of", step.of}});
  if (!step.words.empty()) out["words"] = step.words;
  return out;
}

std::string made(const OnboardingStep& step) {
  return fmt::format("{} {}.", step.file.string(), step.was_there ? "is there already" : "is made");
}

}  // namespace

int room_new(Output& out, NewRoom options) {
  options.member = asked(out, options.member, "name of this member, as hospital-a", "--as");
  options.address =
      asked(out, options.address, "HOST:PORT where the others reach this member", "--address");
  if (options.members == 0) {
    const std::string text =
        asked(out, "", "how many members will the room have, this one included", "--members");
    const char* const end = text.data() + text.size();
    if (std::from_chars(text.data(), end, options.members).ptr != end) options.members = 0;
  }
  options.provider = asked(out, options.provider, "provider: aws or sandbox", "--provider");
  options.account_opener =
      asked(out, options.account_opener,
            fmt::format("who opens the account at the provider; \"{}\" where create-account makes "
                        "it inside",
                        kBornInRoom),
            "--opens");
  options.account_root =
      asked(out, options.account_root,
            fmt::format("who holds its root; \"{}\" where nobody does", kBornInRoom), "--root");
  const OnboardingStep step = new_room(options);
  out.line(made(step));
  out.line("\n" + room_warning(options.members, options.account_opener, options.account_root));
  out.line(fmt::format(
      "\nNext: read {0}; other providers and rules go in there now, and change no more once you "
      "invited (docs/files.md). Then `flexroom{1} room invite`.",
      step.file.string(), member_option(options.folder)));
  out.result(fields_of(step));
  return kOk;
}

int room_invite(Output& out, const Common& common, const std::string& lasts) {
  const OnboardingStep step =
      invite(common.member_file, seconds_of("--lasts", lasts).count(), now_of(common));
  out.line(made(step));
  show_own_words(out, step.words);
  out.line(fmt::format(
      "Next: send it to each of the others; it holds no secret. Each runs `flexroom room join {}` "
      "and sends a reply; take each with `flexroom room add REPLY`.",
      step.file.filename().string()));
  out.result(fields_of(step));
  return kOk;
}

int room_join(Output& out, const Common& common, JoinRoom options) {
  options.member = asked(out, options.member, "name of this member, as hospital-b", "--as");
  options.address =
      asked(out, options.address, "HOST:PORT where the others reach this member", "--address");
  const Joining joining = join_room(options, now_of(common));
  out.line("What the room is, as the invitation says:");
  for (const std::string& line : joining.lines) out.line("  " + line);
  if (joining.step.of != 0 && !joining.opener.empty() && !joining.root.empty()) {
    out.line("\n" + room_warning(joining.step.of, joining.opener, joining.root));
  }
  out.line("\n" + made(joining.step));
  show_own_words(out, joining.step.words);
  out.line(fmt::format(
      "\nNext: if that is the room you want, send the reply to its founder; it holds no secret. "
      "The founder sends room.toml; then `flexroom{} room finish ROOM.TOML`.",
      member_option(options.folder)));
  nlohmann::json fields = fields_of(joining.step);
  fields["room"] = joining.room;
  out.result(fields);
  return kOk;
}

int room_add(Output& out, const Common& common, const std::filesystem::path& reply) {
  const OnboardingStep step = add_member(common.member_file, reply, now_of(common));
  out.line(step.was_there ? "That member is in already." : "Taken into the draft.");
  out.line(step.of == 0 || step.members < step.of
               ? fmt::format("{} of {} are in. Next: the replies of the others, or `flexroom room "
                             "seal` when all are in.",
                             step.members, step.of)
               : fmt::format("All {} are in. Next: `flexroom room seal`.", step.members));
  out.result(fields_of(step));
  return kOk;
}

int room_seal(Output& out, const Common& common) {
  const OnboardingStep step = seal_room(common.member_file);
  out.line(made(step));
  out.line(
      "Next: send it to all others, who run `flexroom room finish ROOM.TOML`. Then compare words "
      "by "
      "telephone, each pair of people (`flexroom room words`), and all run `flexroom init`.");
  out.result(fields_of(step));
  return kOk;
}

int room_finish(Output& out, const Common& common, const std::filesystem::path& sealed) {
  const OnboardingStep step = finish_room(common.member_file, sealed);
  out.line(made(step));
  out.line(
      "Next: compare words by telephone, each pair of people (`flexroom room words`). Then "
      "`flexroom doctor`, and `flexroom init` with all others.");
  out.result(fields_of(step));
  return kOk;
}

namespace {

/// NAME=WORDS each; of two members the words alone.
std::map<std::string, std::string> heard_of(const std::vector<std::string>& words,
                                            const std::vector<std::string>& others) {
  std::map<std::string, std::string> out;
  for (const std::string& one : words) {
    const size_t equals = one.find('=');
    if (equals == std::string::npos && others.size() != 1) {
      throw InputError("--words", "does not say whose they are",
                       "write --words NAME=\"FOUR WORDS\", once for each of the others");
    }
    const std::string name = equals == std::string::npos ? others.front() : one.substr(0, equals);
    if (!out.emplace(name, one.substr(equals == std::string::npos ? 0 : equals + 1)).second) {
      throw InputError("--words", fmt::format("are given twice of {}", display_short(name)));
    }
  }
  return out;
}

void compare_given(const Common& common, const std::vector<std::string>& words) {
  if (words.empty()) return;
  const WordsOfRoom all = words_of_room(common.member_file, false);
  std::vector<std::string> others = all.compared;
  others.insert(others.end(), all.missing.begin(), all.missing.end());
  compare_words(common.member_file, heard_of(words, others));
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

}  // namespace

int room_words(Output& out, const Common& common, const std::vector<std::string>& words) {
  compare_given(common, words);
  const WordsOfRoom now = words_of_room(common.member_file);
  show_own_words(out, now.own);
  if (!now.compared.empty()) out.line("Compared: " + joined(now.compared));
  if (!now.missing.empty()) {
    out.line(fmt::format(
        "Not compared yet: {0}. Let each one's person tell you four words by telephone, then "
        "`flexroom room words --words {1}=\"...\"`, or type them when `flexroom init` asks.",
        joined(now.missing), now.missing.front()));
  }
  out.result(
      {{"ok", true}, {"words", now.own}, {"compared", now.compared}, {"missing", now.missing}});
  return kOk;
}

void require_words(Output& out, const Common& common, const std::vector<std::string>& words) {
  compare_given(common, words);
  const std::vector<std::string> missing = words_missing(common.member_file);
  if (missing.empty()) return;
  watch_signals();
  for (const std::string& name : missing) {
    const auto line = out.ask(fmt::format("the four words that the person of {} tells you by "
                                          "telephone (your own: `flexroom room words`)",
                                          name),
                              std::nullopt, &cancel_flag(), {});
    if (line) {
      compare_words(common.member_file, {{name, to_text(line->reveal())}});
      continue;
    }
    require_words_compared(common.member_file);
  }
}

// ---------------------------------------------------------------------- links and issuers

int links_make(Output& out, LinksToMake links, const std::string& lasts) {
  links.lasts = seconds_of("--lasts", lasts);
  const http::AwsCredential own = take_own_credential();
  const auto now = std::chrono::system_clock::now();
  make_links(links, own, now);
  const auto end = std::chrono::system_clock::to_time_t(now + links.lasts);
  out.line(fmt::format("{} is made; its links end {:%Y-%m-%d %H:%M}Z{}.", links.file.string(),
                       fmt::gmtime(end),
                       own.session_token.empty() ? "" : ", or with the session's token before"));
  out.line("Next: `flexroom doctor JOB --links " + links.file.string() +
           "`, and `flexroom plan JOB`.");
  out.result({{"ok", true}, {"file", links.file.string()}, {"ends", int64_t{end}}});
  return kOk;
}

namespace {

/// All of it, to the end.
SecretBytes read_value(int fd) {
  constexpr size_t kMost = store::kMaxSecretBytes + 1;  // one more: then it is too long
  SecretBytes buffer(kMost);
  size_t size = 0;
  while (size < kMost) {
    const ssize_t got = ::read(fd, buffer.writable().data() + size, kMost - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw InputError(fmt::format("descriptor {}", fd),
                       std::string("cannot be read: ") + std::strerror(errno),
                       "give the value on standard input, or name an open descriptor");
    }
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  return SecretBytes::copy_of(buffer.reveal().first(size));
}

/// Of a room.toml whose other files an issuer has not.
std::vector<std::string> members_of(const std::filesystem::path& room) {
  const TomlTable root = TomlTable::load(room, "name room.toml as the members have it");
  const RoomConfig config = RoomConfig::draft(root, room);
  root.finish();
  if (config.size != 0 && config.members.size() != config.size) {
    throw InputError(room.string(), "lacks members that are to come", "wait until all are in");
  }
  std::vector<std::string> out;
  for (const MemberEntry& member : config.members) out.push_back(member.name);
  return out;
}

SecretBytes value_of(int fd) {
  std::optional<Terminal> terminal = Terminal::of(fd);
  return terminal ? ask_unseen(*terminal, "the value, which is not shown", "secret split")
                  : read_value(fd);
}

}  // namespace

int secret_split(Output& out, session::SplitOptions options, const std::filesystem::path& room,
                 int descriptor) {
  if (!room.empty()) {
    if (!options.members.empty()) {
      throw InputError("--for", "stands beside --room", "name the members once");
    }
    options.members = members_of(room);
  }
  const std::vector<std::filesystem::path> files =
      session::split_secret(options, value_of(descriptor));
  nlohmann::json rows = nlohmann::json::array();
  for (size_t i = 0; i < files.size(); ++i) {
    out.line(fmt::format("{:<24} for {}", files[i].string(), options.members[i]));
    rows.push_back({{"member", options.members[i]}, {"file", files[i].string()}});
  }
  out.line(
      "Next: give each member its own file, each over its own safe way, and erase what is left "
      "here: all of them together are the value. Each runs `flexroom secret import FILE`.");
  out.result({{"ok", true}, {"shares", rows}});
  return kOk;
}

}  // namespace flexroom::cli
