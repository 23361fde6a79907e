#include "room/failure.h"

#include <filesystem>

#include "base/display.h"
#include "base/error.h"

namespace flexroom::room {
namespace {

constexpr const char* kFpCheatText =
    "\n  A member's message failed a check over F_p: this session's arithmetic material is "
    "destroyed and a strike is counted. Find out why before you run again.";
constexpr const char* kBooleanCheatText =
    "\n  A check of the boolean engine failed: the epoch is burned at this member. Stored secrets "
    "are kept. Find out why; then run `flexroom init --new-epoch` at all members.";
constexpr const char* kReleasedText =
    "\n  The request had been released: it may have been carried out. Look at the provider before "
    "you run again.";

void of_input(const InputError& input, Error::Fields& out) {
  out.text = input.what();
  out.place = input.place();
  out.problem = input.problem();
  out.remedy = input.remedy();
}

/// "member 2" says nothing to somebody who knows them by name.
std::string text_of(const ProtocolAbort& abort, const std::string& member) {
  if (member.empty()) return abort.what();
  return std::string(to_string(abort.code())) + " (" + abort.operation() + ", " + member +
         "): " + abort.detail();
}

void of_abort(const ProtocolAbort& abort, const std::vector<std::string>& members,
              Error::Fields& out) {
  out.kind = std::string(to_string(abort.abort_class()));
  out.operation = abort.operation();
  if (abort.peer() && *abort.peer() < members.size()) out.member = members[*abort.peer()];
  out.text = text_of(abort, out.member);
  switch (abort.abort_class()) {
    case AbortClass::kRefuse:
      out.exit = Exit::kRefused;
      break;
    case AbortClass::kNetwork:
      out.exit = Exit::kFailed;
      break;
    case AbortClass::kFpCheat:
      out.exit = Exit::kCheat;
      out.text += kFpCheatText;
      break;
    case AbortClass::kBooleanCheat:
      out.exit = Exit::kCheat;
      out.text += kBooleanCheatText;
      break;
  }
}

}  // namespace

Error::Fields describe(const std::exception& error, bool released,
                       const std::vector<std::string>& members) {
  Error::Fields out;
  out.kind = "error";
  out.text = error.what();
  if (const auto* known = dynamic_cast<const Error*>(&error)) {
    out = known->fields();
  } else if (const auto* input = dynamic_cast<const InputError*>(&error)) {
    of_input(*input, out);
  } else if (const auto* io = dynamic_cast<const std::filesystem::filesystem_error*>(&error)) {
    of_input({io->path1().string(), io->code().message(),
              "give another path, or make this one usable for this user"},
             out);
  } else if (const auto* abort = dynamic_cast<const ProtocolAbort*>(&error)) {
    of_abort(*abort, members, out);
  }
  if (released && out.exit != Exit::kUnknown) {
    out.exit = Exit::kUnknown;
    out.text += kReleasedText;
  }
  out.text = display_lines(out.text);
  return out;
}

std::string words_of_caught() {
  try {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "something that is no std::exception was thrown";
  }
}

}  // namespace flexroom::room
