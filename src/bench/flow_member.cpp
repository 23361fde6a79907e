#include "bench/flow_member.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "flexroom/identity.h"
#include "flexroom/session.h"

namespace flexroom::bench {
namespace {

using nlohmann::json;

/// Approves, and answers what a person would be shown or told from what the sandbox wrote down.
class BenchDecider final : public Decider {
 public:
  explicit BenchDecider(std::filesystem::path seen = {}) : seen_(std::move(seen)) {}
  Answer approve(const Summary&) override { return Answer::kYes; }
  std::optional<std::string> human_input(const Question& question) override {
    if (question.kind == Question::Kind::kConsent) return "yes";  // an account of this bench alone
    const bool telephone = question.text.find("TypePhoneCode") != std::string::npos;
    const std::string what = telephone ? "telephone code" : "captcha answer";
    std::optional<std::string> newest;
    std::ifstream in(seen_);
    for (std::string line; std::getline(in, line);) {
      const json one = json::parse(line, nullptr, false);
      if (one.is_object() && one.at("what") == what) newest = one.at("value");
    }
    return newest;
  }
  void timeline(const std::vector<Phase>& phases) override { steps = phases; }
  std::vector<Phase> steps;

 private:
  const std::filesystem::path seen_;
};

void write_private(const std::filesystem::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary);
  ::chmod(file.c_str(), S_IRUSR | S_IWUSR);
  if (!(out << text).flush()) throw InputError(file.string(), "cannot be written");
}

/// From here on peak_memory_mib() is of what comes: the kernel forgets this process's largest
/// resident set (proc(5), clear_refs). False where it does not let us.
bool forget_peak_memory() {
  return static_cast<bool>(std::ofstream("/proc/self/clear_refs") << "5" << std::flush);
}

/// The largest resident set of this process since then.
double peak_memory_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
  }
  throw InputError("/proc/self/status", "does not tell the largest resident set");
}

class FlowMember final : public BenchMember {
 public:
  explicit FlowMember(PartyId self) : self_(self) {}

  json run(const json& order) override {
    const std::string what = order.at("do");
    if (what == "identity") return identity(order);
    RoomOptions options;
    options.member_file = folder_ / "member.toml";
    if (what == "room") write_private(folder_ / "room.toml", order.at("text"));
    Room room(options);
    BenchDecider decider(order.value("seen", ""));
    Session session(room, decider);
    if (what == "room") {
      (void)session.init(false);
      return json::object();
    }
    if (what == "stock") {
      (void)session.fill_stock(order.at("triples"));
      return json::object();
    }
    FLEXROOM_ASSERT(what == "flow");
    return flow(session, decider, order);
  }

 private:
  json identity(const json& order) {
    folder_ = std::filesystem::path(order.at("folder").get<std::string>()) /
              fmt::format("member-{}", self_);
    const IdentityMade made = make_identity({fmt::format("member-{}", self_), folder_, ""});
    return {{"certificate", made.certificate}};
  }

  json flow(Session& session, const BenchDecider& decider, const json& order) const {
    FlowRequest request;
    request.file = order.at("file").get<std::string>();
    request.arguments = order.at("arguments").get<std::map<std::string, std::string>>();
    const json& mine = order.at("inputs").at(self_);
    if (!mine.empty()) {
      request.inputs = folder_ / "inputs.json";
      write_private(request.inputs, mine.dump());
    }
    const bool alone = forget_peak_memory();
    const auto start = BenchClock::now();
    (void)session.flow(request);
    const double seconds = seconds_since(start);
    uint64_t bytes = 0, ands = 0;
    for (const Phase& step : decider.steps) {
      bytes += step.bytes_sent;
      ands += step.ands;
    }
    return {{"seconds", seconds},
            {"bytes", bytes},
            {"ands", ands},
            {"steps", decider.steps.size()},
            {"rss_mib", peak_memory_mib()},
            {"rss_alone", alone}};
  }

  const PartyId self_;
  std::filesystem::path folder_;
};

}  // namespace

std::unique_ptr<BenchMember> make_flow_member(const LoopbackMembers& /*members*/, PartyId self) {
  return std::make_unique<FlowMember>(self);
}

}  // namespace flexroom::bench
