#include <fmt/core.h>

#include <cstdio>

#include "base/error.h"
#include "cli/commands.h"
#include "config/config.h"
#include "session/member_session.h"
#include "store/log_export.h"

namespace flexroom::cli {
namespace {

std::vector<store::AuditLog::Stored> read_log(const Common& common) {
  MemberConfig member = MemberConfig::load(common.member_file);
  RoomConfig room = RoomConfig::load(member.room_file);
  session::MemberState state(std::move(room), std::move(member));
  state.settle_runs();
  return state.log().verify();
}

}  // namespace

int show_log_entry(Output& out, const Common& common, uint64_t number) {
  const auto entries = read_log(common);
  if (number == 0 || number > entries.size()) {
    throw InputError(fmt::format("log show {}", number),
                     fmt::format("there is no such entry; the log has {}", entries.size()),
                     "`flexroom log` counts them from 1");
  }
  const store::AuditLog::Stored& entry = entries[number - 1];
  if (!out.json()) {
    const std::string text = store::entry_text(entry);
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      out.line(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  nlohmann::json line = nlohmann::json::parse(store::export_line(entry));
  out.result({{"ok", true}, {"entry", line}});
  return kOk;
}

int export_log(Output& out, const Common& common) {
  const auto entries = read_log(common);
  for (const store::AuditLog::Stored& entry : entries) {
    if (std::puts(store::export_line(entry).c_str()) < 0) {
      throw InputError("standard output", "the log cannot be written there",
                       "the export is not whole: write it to another file");
    }
  }
  if (std::fflush(stdout) != 0) {
    throw InputError("standard output", "the log cannot be written there",
                     "the export is not whole: write it to another file");
  }
  (void)out;  // the lines are the result, with --json too
  return kOk;
}

}  // namespace flexroom::cli
