#include <ctime>

#include "agreement/words.h"
#include "base/codec.h"
#include "base/display.h"
#include "node/api.h"
#include "room/leaks.h"

// What the console's page needs beside the rest of the API: its link and its token, the words of a
// proposal, health, the leak ledger, the log as a file.

namespace flexroom::node {
namespace {

using nlohmann::json;

constexpr std::string_view kBearer = "Bearer ";
constexpr size_t kTokenDigits = 64, kMostWords = 64;

std::string_view token_of(const std::string& header) {
  const std::string_view text = header;
  return text.starts_with(kBearer) ? text.substr(kBearer.size()) : std::string_view();
}

}  // namespace

void Api::set_console(std::string origin, std::string problem) {
  console_origin_ = std::move(origin);
  console_problem_ = std::move(problem);
}

HttpAnswer Api::of_page(const HttpRequest& request) {
  if (request.path == "/v1/console/open") return routed(request, Authority{}, Caller{}, true);
  const std::string header = request.header("authorization");
  const std::string token(token_of(header));
  const auto caller = pages_.holder(token);
  if (!caller) {
    throw HttpError(401, "this page is not signed in, or was for twelve hours",
                    "`flexroom console` prints a new link");
  }
  HttpAnswer out =
      routed(request, authority_of(*caller, core_.member().node.persons, own_uid_), *caller, true);
  if (out.events) {  // they end with the page's token
    out.events = [this, token, next = std::move(out.events)]() -> std::optional<std::string> {
      return pages_.holder(token) ? next() : std::nullopt;
    };
  }
  return out;
}

HttpAnswer Api::console_link(const Call& call) {
  if (console_origin_.empty()) {
    throw HttpError(
        409, console_problem_.empty() ? "no console is set up" : "no console: " + console_problem_,
        console_problem_.empty()
            ? "write [console] and port = 7180 into member.toml and restart the node"
            : "free the port, or write another one into member.toml, and restart the node");
  }
  return HttpAnswer::json({{"ok", true},
                           {"link", console_origin_ + "/#open=" + pages_.make_link(call.caller)},
                           {"seconds", PageTokens::kLinkLife.count()},
                           {"you", call.authority.name}});
}

HttpAnswer Api::console_open(const Call& call) {
  const json body = json::parse(call.request.body, nullptr, false);
  const auto link = body.is_object() ? body.find("link") : body.end();
  if (!body.is_object() || body.size() != 1 || link == body.end() || !link->is_string()) {
    throw HttpError(400, "the body is not {\"link\": ..}");
  }
  const std::string given = link->get<std::string>();
  const auto token = given.size() == kTokenDigits ? pages_.open(given) : std::nullopt;
  if (!token) {
    throw HttpError(401, "this link was used already, or is older than a minute",
                    "`flexroom console` prints a new one");
  }
  return HttpAnswer::json({{"ok", true}, {"token", *token}});
}

HttpAnswer Api::console_close(const Call& call) {
  const std::string header = call.request.header("authorization");
  pages_.forget(token_of(header));
  return HttpAnswer::json({{"ok", true}});
}

HttpAnswer Api::proposal_words(const Call& call) {
  const Digest what = core_.with([&](const Core::Open& open) {
    const inbox::Item item = item_called(open.inbox, call.id);
    return item.complete.value_or(item.proposal);
  });
  const std::lock_guard lock(words_mutex_);
  if (words_.size() >= kMostWords && !words_.contains(what)) words_.clear();
  std::string& words = words_[what];
  if (words.empty()) words = agreement::words(what, agreement::kProposalWords);
  return HttpAnswer::json({{"ok", true}, {"digest", to_hex(what)}, {"words", words}});
}

HttpAnswer Api::leaks(const Call&) {
  json out = json::array();
  const auto accounts =
      core_.with([](const Core::Open& open) { return room::leaks_of(open.state); });
  for (const room::LeakAccount& one : accounts) {
    out.push_back({{"account", one.name}, {"bits", one.bits}, {"most", one.most}});
  }
  return HttpAnswer::json({{"ok", true}, {"accounts", out}});
}

HttpAnswer Api::log_export(const Call&) {
  HttpAnswer out;
  out.type = "application/x-ndjson";
  core_.with([&](const Core::Open& open) {
    open.room.export_log([&](const std::string& line) { out.body += line + "\n"; });
    return 0;
  });
  return out;
}

}  // namespace flexroom::node
