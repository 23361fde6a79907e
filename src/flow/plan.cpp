#include "flow/plan.h"

#include <fmt/core.h>

#include <algorithm>

#include "flow/accounts.h"
#include "flow/loader.h"

namespace flexroom::flow {
namespace {

constexpr double kAndsPerSecond = 1.5e6;

std::string joined(const std::vector<std::string>& list) {
  std::string out;
  for (const std::string& one : list) out += (out.empty() ? "" : ", ") + one;
  return out;
}

bool is_secret_slot(const Flow& flow, const SlotUse& use, const KnownValues& room) {
  if (flow.is_secret(use.name)) return true;
  if (!flow.is_used(use.name)) return false;
  const auto it = room.find(use.name);
  return it == room.end() || !it->second.is_public;
}

/// Of all steps to one host under one suite.
struct HostCost {
  std::string suite;
  uint64_t ands = 0, client_flight = 0;
  double bytes = 0;
};

std::string million(uint64_t ands) {
  return fmt::format("{:.2f}", static_cast<double>(ands) / 1e6);
}

class Printer {
 public:
  Printer(const Flow& flow, const KnownValues& room, const CostsOf& costs)
      : flow_(flow), room_(room), costs_(costs) {}

  void step(const Step& step) {
    const std::string name = step.is_main() ? step.name : step.line + "." + step.name;
    if (step.asks()) {
      line(fmt::format("{}: asks {}", name, step.ask));
      if (!step.show.empty()) line(fmt::format("  shows    {}", joined(step.show)));
      for (const Open& open : step.opens) opens(open);
      line(fmt::format("  waits    at most {} s for the answer, which all members see",
                       step.within_seconds));
      return rules(step);
    }
    line(fmt::format("{}: {} https://{}{}   {}", name, step.method, step.host, step.path,
                     step.sealed ? "sealed" : "opened to all"));
    for (const SlotUse& use : step.slots) leaves(use);
    if (!step.sign_service.empty()) {
      line(fmt::format("  leaves   a signature with {}/secret for {} {}", flow_.key,
                       step.sign_service, step.sign_region));
    }
    for (const Keep& keep : step.keeps) keeps(keep);
    for (const Open& open : step.opens) opens(open);
    if (step.sealed) opens_status(step);
    if (step.reads_body() && step.sealed) {
      const std::string_view kind = step.type.find("xml") != std::string::npos ? "XML" : "JSON";
      line(
          fmt::format("  lengths  of header lines, {} names and values, and their nesting are seen "
                      "by all members",
                      kind));
    } else if (step.sealed && (step.reads_header() || !step.next_on_connection.empty())) {
      line("  lengths  of header lines and their parts are seen by all members");
    }
    tests(step);
    if (!step.proves.empty()) {
      line(fmt::format("  proves   {}: until then the version before stays current", step.proves));
    }
    if (!step.previous_on_connection.empty()) {
      line(fmt::format("  shares   the connection of {}; where that has ended, a new one",
                       step.previous_on_connection));
    }
    if (costs_) costs(step);
    rules(step);
  }

  /// Which suite each host is offered, and what the others would take: by what is sent, since gates
  /// alone leave out what tags take.
  void suites() {
    for (const auto& [host, sums] : hosts_) {
      const HostCost& offered = sums.front();
      std::string text = fmt::format("suite    {}: {} is offered, {} M ANDs and {:.0f} MB", host,
                                     offered.suite, million(offered.ands), offered.bytes / 1e6);
      for (size_t k = 1; k < sums.size(); ++k) {
        text += fmt::format("; {} would take {} M and {:.0f} MB, {}", sums[k].suite,
                            million(sums[k].ands), sums[k].bytes / 1e6,
                            sums[k].bytes < offered.bytes ? "cheaper" : "no cheaper");
      }
      line(text);
      if (offered.client_flight == 0) continue;
      line(
          fmt::format("client   {} is told that there is no certificate, if it asks for one: "
                      "{} M of these ANDs (`client_auth`)",
                      host, million(offered.client_flight)));
    }
  }

  void end(const std::map<std::string, unsigned>& leaks,
           const std::map<std::string, unsigned>& spent) {
    std::vector<std::string> left;
    flow_.each_step([&](const Step& one) {
      if (!one.leaves.empty()) left.push_back(one.leaves);
    });
    line("left at the provider: " + (left.empty() ? std::string("nothing") : joined(left)));
    std::vector<std::string> shown;
    for (const auto& [name, bits] : leaks) {
      const auto it = spent.find(name);
      shown.push_back(fmt::format("{} {} bit{} (so far {} of {})", name, std::min(bits, kLifeBits),
                                  bits == 1 ? "" : "s", it == spent.end() ? 0 : it->second,
                                  kLifeBits));
    }
    const auto open = leaks_unless_long(flow_, room_);
    const std::string end = open.empty() ? "" : ", as far as this file tells";
    line((shown.empty() ? "leaks nothing else" : "leaks at most " + joined(shown)) + end);
    for (const auto& [name, bits] : open) {
      line(fmt::format(
          "  and of {}, if the room has it as a secret below {} bits: {}", name, kFullEntropy,
          bits > kLifeBits
              ? fmt::format("up to {} bits, more than its life's {}: refused", bits, kLifeBits)
              : fmt::format("up to {} bits", bits)));
    }
  }

  void line(const std::string& text) { out_ += text + "\n"; }
  std::string take() { return std::move(out_); }

 private:
  void leaves(const SlotUse& use) {
    if (!is_secret_slot(flow_, use, room_)) return;
    std::string text = fmt::format("  leaves   {} in {}", use.name, use.position);
    if (!use.function.empty()) text += " as " + use.function;
    if (!use.key_host.empty()) text += " under the key of " + use.key_host;
    line(text);
  }

  void keeps(const Keep& keep) {
    const std::string length = keep.min == keep.max ? fmt::format("{}", keep.max)
                                                    : fmt::format("{} to {}", keep.min, keep.max);
    line(fmt::format("  keeps    {} ({}, {}){}", keep.name, to_string(keep.value_class), length,
                     keep.replace ? ", replacing the one before" : ""));
  }

  void opens(const Open& open) {
    line(fmt::format("  opens    {} (at most {} {}) to {}", open.name, open.max,
                     to_string(open.value_class), open.to));
  }

  void opens_status(const Step& step) {
    std::string text = "  opens    the status";
    if (step.code) {
      text += fmt::format("; which of {} listed codes if refused: {}", step.code->one_of.size(),
                          joined(step.code->one_of));
    }
    line(text);
  }

  void tests(const Step& step) {
    std::vector<std::string> list;
    for (const auto& [name, bits] : bits_of_release(flow_, step, room_)) {
      list.push_back(fmt::format("{} bit{} of {} a release", bits, bits == 1 ? "" : "s", name));
    }
    if (!list.empty()) line("  tests    " + joined(list));
    for (const Assertion& one : step.asserts) {
      line(one.equals ? fmt::format("  asserts  {} is {}", one.at.text, *one.equals)
                      : fmt::format("  asserts  no {}", one.at.text));
    }
  }

  void costs(const Step& step) {
    const std::vector<StepCost> all = costs_(step);
    if (all.empty()) return line("  costs    not counted: no run can make this step yet");
    for (const StepCost& cost : all) {
      const bool offered = &cost == &all.front();
      std::string text = fmt::format(
          "{} {}: {} M ANDs (handshake {}, request {}, answer {}), {:.1f} MB to each member",
          offered ? "  costs    up to, with" : "           with", cost.suite, million(cost.total()),
          million(cost.handshake), million(cost.request), million(cost.answer), cost.bytes / 1e6);
      if (offered) {
        text += fmt::format(", about {:.1f} s", static_cast<double>(cost.total()) / kAndsPerSecond);
        if (cost.renewed > 0) {
          text += fmt::format("; on a new connection {} M more", million(cost.renewed));
        }
        if (!cost.pad.empty()) {
          text += fmt::format("; {} M of the request are its padding ({})", million(cost.padding),
                              cost.pad);
        }
      }
      line(text);
    }
    add_to_host(step.host, all);
  }

  void add_to_host(const std::string& host, const std::vector<StepCost>& all) {
    std::vector<HostCost>& sums = hosts_[host];
    sums.resize(all.size());
    for (size_t k = 0; k < all.size(); ++k) {
      sums[k].suite = all[k].suite;
      sums[k].ands += all[k].total();
      sums[k].client_flight += all[k].client_flight;
      sums[k].bytes += all[k].bytes;
    }
  }

  void rules(const Step& step) {
    std::vector<std::string> list;
    for (const auto& [event, rule] : step.on) list.push_back(event + " " + rule.text());
    if (!list.empty()) line("  on       " + joined(list));
  }

  const Flow& flow_;
  const KnownValues& room_;
  const CostsOf& costs_;
  std::map<std::string, std::vector<HostCost>> hosts_;
  std::string out_;
};

/// Who could tell what to a support desk.
void add_givers(const Flow& flow, const std::map<std::string, std::string>& arguments,
                Printer& out) {
  std::map<std::string, std::vector<std::string>> by;
  for (const std::string& name : flow.input_order) {
    const Input& input = flow.inputs.at(name);
    by[member_of(input.from, arguments)].push_back(
        input.kind.empty() ? name : fmt::format("{} ({})", name, input.kind));
  }
  for (const auto& [member, names] : by) {
    out.line(fmt::format("{} gives {}", member, joined(names)));
  }
}

}  // namespace

std::string plan_text(const Flow& flow, const std::map<std::string, std::string>& arguments,
                      const KnownValues& room, const std::map<std::string, unsigned>& spent,
                      const CostsOf& costs) {
  Printer out(flow, room, costs);
  out.line(fmt::format("{}: {} steps to {}", flow.name, flow.lines.front().steps.size(),
                       joined(flow.hosts)));
  for (const auto& [name, birth] : flow.born) {
    out.line(fmt::format("born     {}{} ({} bytes, {:.0f} bits)", name,
                         birth.suffix.empty() ? "" : fmt::format(" with {}", birth.suffix),
                         birth.bytes(), birth.bits));
  }
  add_givers(flow, arguments, out);
  flow.each_step([&](const Step& step) { out.step(step); });
  out.suites();
  out.end(room.empty() ? flow.leaks : leaks_of(flow, room), spent);
  return out.take();
}

}  // namespace flexroom::flow
