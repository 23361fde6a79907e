#include "store/log_export.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "agreement/render.h"
#include "base/base64.h"
#include "base/display.h"

namespace flexroom::store {
namespace {

using agreement::Statement;
using agreement::StatementKind;

std::string date(uint64_t seconds) {
  constexpr uint64_t kYear9999 = 253'402'300'799;  // what a liar wrote may be any number
  return fmt::format("{:%Y-%m-%d %H:%M:%SZ}",
                     fmt::gmtime(static_cast<std::time_t>(std::min(seconds, kYear9999))));
}

std::string configuration_text(const Statement& s) {
  const auto body = agreement::ChangeBody::decode(s.body, "configuration");
  std::string out =
      fmt::format("  room          {}\n  profile       {}\n", display_text(body.configuration.name),
                  display_text(body.configuration.profile));
  for (const auto& member : body.configuration.members) {
    out += fmt::format("  member        {}, certificate {}, key {}, id {}\n",
                       display_text(member.name), to_hex(member.certificate), to_hex(member.key),
                       to_hex(member.id));
  }
  for (const auto& provider : body.configuration.providers) {
    out += fmt::format("  provider      {}\n", display_text(provider.name));
    for (const auto& host : provider.hosts) {
      out += fmt::format("    host        {}\n", display_text(host));
    }
    for (const auto& setting : provider.settings) {
      out += fmt::format("    setting     {}\n", display_text(setting));
    }
    for (const auto& call : provider.open_calls) {
      out += fmt::format("    open call   {}\n", display_text(call));
    }
  }
  return out;
}

}  // namespace

std::string export_line(const AuditLog::Stored& stored) {
  const Statement& s = stored.statement;
  nlohmann::json line{{"statement", base64_encode(s.encode())},
                      {"room", to_hex(s.room)},
                      {"author", to_hex(s.author)},
                      {"incarnation", s.incarnation},
                      {"number", s.number},
                      {"previous", to_hex(s.previous)},
                      {"digest", to_hex(stored.head)},
                      {"time", s.time},
                      {"kind", agreement::to_string(s.kind)},
                      {"says", to_string(stored.entry.outcome)},
                      {"text", stored.entry.text},
                      {"joint", stored.joint}};
  if (stored.entry.proposal != Digest{}) line["proposal"] = to_hex(stored.entry.proposal);
  if (stored.entry.run != Digest{}) line["run"] = to_hex(stored.entry.run);
  if (stored.entry.status != 0) line["status"] = stored.entry.status;
  // Of a proposal that waited the text stands in its PROPOSE.
  if (stored.entry.approval) {
    line["approved"] = agreement::render(stored.entry.approval->proposal, "log");
  }
  // Foreign text may be no UTF-8; the bytes are in "statement".
  return line.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

std::string entry_text(const AuditLog::Stored& stored) {
  const Statement& s = stored.statement;
  std::string out = fmt::format("{} {} of {}\n  says          {}: {}\n  signed by     {}\n",
                                agreement::to_string(s.kind), s.number, date(s.time),
                                to_string(stored.entry.outcome), display_text(stored.entry.text),
                                stored.joint ? "all members" : "this member alone");
  const auto add = [&](const char* name, const Digest& digest) {
    if (digest != Digest{}) out += fmt::format("  {:<13} {}\n", name, to_hex(digest));
  };
  add("proposal", stored.entry.proposal);
  add("run", stored.entry.run);
  if (stored.entry.status != 0) out += fmt::format("  status        {}\n", stored.entry.status);
  out += fmt::format("  digest        {}\n  previous      {}\n", to_hex(stored.head),
                     to_hex(s.previous));
  if (s.kind == StatementKind::kChange) out += configuration_text(s);
  if (stored.entry.approval) {
    out += "\nwhat all members approved:\n" +
           agreement::render(stored.entry.approval->proposal, "log");
  }
  return out;
}

}  // namespace flexroom::store
