#include "flow/plan.h"

#include <fmt/core.h>

#include <algorithm>

#include "flow/accounts.h"
#include "flow/loader.h"
#include "flow/request.h"

namespace flexroom::flow {
namespace {

constexpr double kBytesPerAnd = 200, kAndsPerSecond = 1.5e6;

std::string joined(const std::vector<std::string>& list) {
  std::string out;
  for (const std::string& one : list) out += (out.empty() ? "" : ", ") + one;
  return out;
}

bool reads_header(const Step& step) {
  return step.reads_body() || step.code.has_value() || !step.keeps.empty() || !step.opens.empty() ||
         !step.asserts.empty();
}

/// Of all searches together, for each byte; an assertion looks for the literal alone.
uint64_t search_cost(const Step& step) {
  const auto cost = [](const Selector& at) {
    if (!at.searches()) return uint64_t{0};
    return at.is_json() ? Gates::kJsonSearchByte : Gates::kSearchByte;
  };
  uint64_t out = 0;
  for (const Keep& keep : step.keeps) out += cost(keep.at);
  for (const Open& open : step.opens) out += open.at ? cost(*open.at) : 0;
  for (const Assertion& one : step.asserts) out += one.at.searches() ? Gates::kSearchByte : 0;
  return out;
}

bool is_secret_slot(const Flow& flow, const SlotUse& use, const KnownValues& room) {
  if (flow.is_secret(use.name)) return true;
  if (!flow.is_used(use.name)) return false;
  const auto it = room.find(use.name);
  return it == room.end() || !it->second.is_public;
}

std::string million(uint64_t ands) {
  return fmt::format("{:.2f}", static_cast<double>(ands) / 1e6);
}

class Printer {
 public:
  Printer(const Flow& flow, const KnownValues& room) : flow_(flow), room_(room) {}

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
    } else if (step.sealed && (reads_header(step) || !step.next_on_connection.empty())) {
      line("  lengths  of header lines and their parts are seen by all members");
    }
    tests(step);
    if (!step.proves.empty()) {
      line(fmt::format("  proves   {}: until then the version before stays current", step.proves));
    }
    if (!step.previous_on_connection.empty()) {
      line(
          fmt::format("  shares   the connection of {}; where that has ended, a new one, {} M ANDs "
                      "more",
                      step.previous_on_connection, million(Gates::kHandshake)));
    }
    costs(step);
    rules(step);
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
    const StepCost cost = cost_of(flow_, step);
    const double ands = static_cast<double>(cost.total());
    line(fmt::format(
        "  costs    up to {:.1f} M ANDs (handshake {}, request {}, answer {}), {:.0f} MB, "
        "about {:.1f} s{}",
        ands / 1e6, million(cost.handshake), million(cost.request), million(cost.answer),
        ands * kBytesPerAnd / 1e6, ands / kAndsPerSecond,
        cost.more_member == 0
            ? ""
            : fmt::format("; {} M more for each member above two", million(cost.more_member))));
  }

  void rules(const Step& step) {
    std::vector<std::string> list;
    for (const auto& [event, rule] : step.on) list.push_back(event + " " + rule.text());
    if (!list.empty()) line("  on       " + joined(list));
  }

  const Flow& flow_;
  const KnownValues& room_;
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

/// Bytes of what a jwe hides, at most; where only the room knows it, as the loader takes it.
uint32_t hidden_length(const Flow& flow, const std::string& name) {
  if (const Keep* const keep = flow.kept(name)) return keep->stored_max();
  if (const auto it = flow.inputs.find(name); it != flow.inputs.end()) return it->second.length;
  if (const auto it = flow.born.find(name); it != flow.born.end()) return it->second.bytes();
  return 128;
}

}  // namespace

uint64_t answer_cost(const Step& step, bool keeps_connection) {
  if (!step.sealed) return 0;
  if (!reads_header(step) && !keeps_connection) return Gates::kStatusOnly;
  uint64_t out = step.header_max * (Gates::kAesByte + Gates::kHeaderByte);
  // A second window, for a header that comes in two pieces.
  if (keeps_connection) out += step.header_max * Gates::kHeaderByte + Gates::kHeaderPieces;
  if (step.reads_body() || step.code) {
    const bool xml = step.type.find("xml") != std::string::npos;
    out += step.body_max * (Gates::kAesByte + (xml ? Gates::kXmlByte : Gates::kJsonByte));
    if (keeps_connection) out += Gates::kBodyPieces;
  }
  return out + search_cost(step) * Gates::kSearched;
}

StepCost cost_of(const Flow& flow, const Step& step) {
  StepCost out;
  if (step.asks()) return out;
  out.handshake = step.previous_on_connection.empty() ? Gates::kHandshake : 0;
  uint64_t bytes = step.request.size() + 128;
  for (const SlotUse& use : step.slots) {
    if (use.is_jwe()) {
      const uint32_t length = hidden_length(flow, use.name);
      bytes += function_length(use, length);
      out.request += Gates::kJwe + (length + 15) / 16 * Gates::kJweBlock;
      out.more_member += Gates::kJweMember;
      continue;
    }
    const Keep* const keep = flow.kept(use.name);
    bytes += keep == nullptr ? 64 : function_length(use, keep->stored_max());
  }
  if (!step.sign_service.empty()) out.request += Gates::kSigV4;
  out.request += Gates::kRequestByte * ((bytes + 15) / 16 * 16);
  out.answer = answer_cost(step, !step.next_on_connection.empty());
  if (step.previous_on_connection.empty()) {
    for (const Step* next = &step; !next->next_on_connection.empty();) {
      next = flow.step(next->next_on_connection);
      out.answer += Gates::kAnswerToCome;
    }
  }
  return out;
}

std::string plan_text(const Flow& flow, const std::map<std::string, std::string>& arguments,
                      const KnownValues& room, const std::map<std::string, unsigned>& spent) {
  Printer out(flow, room);
  out.line(fmt::format("{}: {} steps to {}", flow.name, flow.lines.front().steps.size(),
                       joined(flow.hosts)));
  for (const auto& [name, birth] : flow.born) {
    out.line(fmt::format("born     {}{} ({} bytes, {:.0f} bits)", name,
                         birth.suffix.empty() ? "" : fmt::format(" with {}", birth.suffix),
                         birth.bytes(), birth.bits));
  }
  add_givers(flow, arguments, out);
  flow.each_step([&](const Step& step) { out.step(step); });
  out.end(room.empty() ? flow.leaks : leaks_of(flow, room), spent);
  return out.take();
}

}  // namespace flexroom::flow
