#include "cli/commands.h"
#include "cli/screen.h"

namespace flexroom::cli {

int show_log_entry(Output& out, const Common& common, uint64_t number) {
  OpenRoom room(common, true);
  if (out.json()) {
    out.result({{"ok", true}, {"entry", nlohmann::json::parse(room->log_entry_line(number))}});
    return kOk;
  }
  const std::string text = room->log_entry_text(number);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    out.line(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return kOk;
}

int export_log(Output& out, const Common& common, bool evidence) {
  // The lines are the result, with --json too.
  OpenRoom(common, true)
      ->export_log([&](const std::string& line) { out.body(as_bytes(line + "\n")); }, evidence);
  if (evidence) {
    out.note(
        "the evidence shows that these keys signed; that a key is a person's is this member's "
        "word, "
        "or what somebody compared with the person (`flexroom people show`). Keep this export for "
        "the auditor: the other members do not know who approves here");
  }
  if (out.lost()) {
    out.problem(
        "standard output: the log cannot be written there; what is there is not whole\n  -> write "
        "the export to another file");
  }
  return kOk;
}

}  // namespace flexroom::cli
