#include <fmt/core.h>

#include <ctime>

#include "node/api.h"

// What is not as it should be, and what helps: the same words on the page and in a program.

namespace flexroom::node {
namespace {

using nlohmann::json;

constexpr int64_t kDay = 86400, kCertificateSoon = 30 * kDay;
constexpr int64_t kClockFar = 30;

class Findings {
 public:
  void add(const char* level, const std::string& what, const std::string& text,
           const std::string& remedy) {
    list_.push_back({{"level", level}, {"what", what}, {"text", text}, {"remedy", remedy}});
  }
  void bad(const std::string& what, const std::string& text, const std::string& remedy) {
    add("bad", what, text, remedy);
  }
  void note(const std::string& what, const std::string& text, const std::string& remedy) {
    add("note", what, text, remedy);
  }
  json take() { return std::move(list_); }

 private:
  json list_ = json::array();
};

void look_at_epoch(const RoomStatus& status, Findings& out) {
  if (status.burned) {
    out.bad("epoch", "a check of the computation failed: this epoch is burned",
            "find out with the other members why; then, with the nodes stopped, `flexroom init "
            "--new-epoch` at all members");
  } else if (!status.has_epoch) {
    out.bad("epoch", "there is no epoch: nothing can run",
            "stop the nodes and run `flexroom init` at all members");
  } else if (!status.reason_to_refresh.empty()) {
    out.note("epoch", status.reason_to_refresh,
             "stop the nodes and run `flexroom init --new-epoch` at all members");
  }
  if (status.needs_operator) {
    out.bad("members", "a member's key or certificate is not the one that was agreed on",
            "compare it by telephone, then run `flexroom peer accept`");
  }
  for (const std::string& mark : status.open_marks) {
    out.note("sessions", mark, "it is counted as soon as all members meet again");
  }
  const int64_t left = status.certificate_expires - static_cast<int64_t>(std::time(nullptr));
  if (status.certificate_expires != 0 && left < kCertificateSoon) {
    out.add(left < 0 ? "bad" : "note", "certificate",
            left < 0 ? "this member's certificate has expired"
                     : fmt::format("this member's certificate expires in {} days", left / kDay),
            "make a new one and change the room together (docs/onboarding.md)");
  }
}

void look_at_peer(const json& peer, Findings& out) {
  const std::string name = peer.at("member").get<std::string>();
  if (!peer.at("up").get<bool>()) {
    const std::string why = peer.at("problem").get<std::string>();
    out.bad("member " + name, "its node is not reached" + (why.empty() ? "" : ": " + why),
            "ask there whether the node runs (`flexroom node status`), and look at the address in "
            "room.toml");
  }
  const int64_t ahead = peer.at("clock_ahead").get<int64_t>();
  if (ahead > kClockFar || ahead < -kClockFar) {
    out.note("member " + name,
             fmt::format("its clock is {} s {} ours", ahead > 0 ? ahead : -ahead,
                         ahead > 0 ? "ahead of" : "behind"),
             "let both machines set their clocks by NTP");
  }
  if (peer.at("held_back").get<uint64_t>() > 0) {
    out.note("member " + name, "it sends more than its share and waits", "ask there why");
  }
  for (const json& sentence : peer.at("stopped")) {
    out.bad("member " + name, sentence.get<std::string>(),
            "speak with whoever runs that member before anything else is approved");
  }
}

}  // namespace

HttpAnswer Api::health(const Call&) {
  Findings out;
  const Runner::State runner = runner_.state();
  bool is_whole = true;
  const RoomStatus status = core_.with([&](const Core::Open& open) {
    is_whole = open.inbox.own_log_is_whole();
    return open.room.status();
  });
  look_at_epoch(status, out);
  if (!is_whole) {
    out.bad("log", "what this member signed earlier is not all here: a state was put back",
            "let the other members' nodes bring it; nothing is approved until then");
  }
  for (const json& peer : peers()) look_at_peer(peer, out);
  if (!runner.problem.empty()) {
    out.note("runs", "the last one that failed: " + runner.problem,
             "`flexroom log` says what became of it");
  }
  if (!console_problem_.empty()) {
    out.note("console", console_problem_, "free the port and restart the node");
  }
  return HttpAnswer::json({{"ok", true},
                           {"findings", out.take()},
                           {"epoch_made", status.epoch_made},
                           {"stock",
                            {{"triples", status.stock.triples},
                             {"bits", status.stock.bits},
                             {"bytes", status.stock.bytes},
                             {"most_bytes", uint64_t{core_.member().node.stock_max_mib} << 20}}}});
}

}  // namespace flexroom::node
