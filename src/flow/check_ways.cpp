#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <functional>

#include "flow/loader.h"

namespace flexroom::flow {
namespace {

using Node = std::pair<std::string, size_t>;
using Names = std::set<std::string>;

std::string joined(const std::vector<std::string>& list) {
  std::string out;
  for (const std::string& one : list) out += (out.empty() ? "" : ", ") + one;
  return out;
}

std::vector<std::string> made_by(const Step& step) {
  std::vector<std::string> out;
  for (const Keep& keep : step.keeps) out.push_back(keep.name);
  for (const Open& open : step.opens) out.push_back(open.name);
  return out;
}

/// Every way out of a step: the event, its rule (none: `ok` goes on by itself) and where it leads.
void each_way_out(
    const Step& step,
    const std::function<void(std::string_view event, const Rule*, const Node&)>& take) {
  const Node here = {step.line, step.index}, next = {step.line, step.index + 1};
  if (step.rule("ok") == nullptr) take("ok", nullptr, next);
  for (const auto& [event, rule] : step.on) {
    if (rule.leads()) take(event, &rule, {rule.line, rule.index});
    if (rule.kind == Rule::Kind::kNext) take(event, &rule, next);
    if (rule.kind == Rule::Kind::kAgain) take(event, &rule, here);
  }
}

/// Forward data flow over all ways of a file, until nothing changes.
class Flood {
 public:
  enum class Join : uint8_t {
    kAll,  // holds where every way there brings it
    kAny,  // holds where some way there brings it
  };
  /// What holds behind that way out, of what held when the step started.
  using Pass = std::function<Names(const Step&, std::string_view event, const Rule*, const Names&)>;

  Flood(const Flow& flow, Join join, Pass pass)
      : flow_(flow), join_(join), pass_(std::move(pass)) {}

  void run(const Names& start) {
    reach({"main", 0}, start);
    while (!work_.empty()) {
      const Node node = work_.front();
      work_.pop_front();
      const Line* const line = flow_.line(node.first);
      if (node.second >= line->steps.size()) continue;
      const Step& step = line->steps[node.second];
      const Names at = at_.at(node);
      each_way_out(step, [&](std::string_view event, const Rule* rule, const Node& to) {
        reach(to, pass_(step, event, rule, at));
      });
    }
  }

  /// By step (and the end of a line): what holds when it starts.
  const std::map<Node, Names>& at() const { return at_; }
  Names behind(const Step& step, std::string_view event, const Rule* rule) const {
    const auto it = at_.find({step.line, step.index});
    return it == at_.end() ? Names() : pass_(step, event, rule, it->second);
  }

 private:
  void reach(const Node& node, const Names& names) {
    const auto [it, is_new] = at_.emplace(node, names);
    if (is_new) return work_.push_back(node);
    Names both;
    const auto into = std::inserter(both, both.end());
    if (join_ == Join::kAll) {
      std::set_intersection(it->second.begin(), it->second.end(), names.begin(), names.end(), into);
    } else {
      std::set_union(it->second.begin(), it->second.end(), names.begin(), names.end(), into);
    }
    if (both == it->second) return;
    it->second = std::move(both);
    work_.push_back(node);
  }

  const Flow& flow_;
  const Join join_;
  const Pass pass_;
  std::map<Node, Names> at_;
  std::deque<Node> work_;
};

/// Where the rules of all steps lead.
class Targets {
 public:
  explicit Targets(Flow& flow) : flow_(flow) {}

  void find() {
    for (Line& line : flow_.lines) {
      for (Step& step : line.steps) {
        for (auto& [event, rule] : step.on) {
          if (rule.leads()) find(step, rule);
        }
        check_end(step, step.index + 1 == line.steps.size());
      }
    }
  }

 private:
  void find(const Step& step, Rule& rule) {
    if (rule.kind == Rule::Kind::kBranch) {
      const Line* const line = flow_.line(rule.to);
      if (line == nullptr || rule.to == "main") {
        refuse(rule.place, fmt::format("no branch {}", rule.to));
      }
      rule.line = rule.to;
      return;
    }
    const Step* const to = flow_.step(rule.to);
    if (to == nullptr) refuse(rule.place, fmt::format("no step {}", rule.to));
    rule.line = to->line;
    rule.index = to->index;
    if (rule.kind == Rule::Kind::kBack) {
      const bool earlier = to->is_main() || to->line == step.line;
      if (!earlier || (to->line == step.line && to->index > step.index)) {
        refuse(rule.place, fmt::format("{} is not an earlier step", rule.to));
      }
      return;
    }
    if (!to->is_main() || (step.is_main() && to->index < step.index)) {
      refuse(rule.place, "`after` goes on behind a step of the main line, forwards");
    }
    check_stands_for(step, *to, rule);
    rule.index = to->index + 1;
  }

  /// Behind a step the same is known, whoever came by whichever way.
  void check_stands_for(const Step& step, const Step& to, const Rule& rule) const {
    Names mine;
    const auto add = [&](const Step& one) {
      for (const std::string& name : made_by(one)) mine.insert(name);
    };
    if (step.is_main()) {
      add(step);
    } else {
      for (const Step& one : flow_.line(step.line)->steps) add(one);
    }
    std::vector<std::string> lacks;
    for (const std::string& name : made_by(to)) {
      if (!mine.contains(name)) lacks.push_back(name);
    }
    if (!lacks.empty()) {
      refuse(rule.place, fmt::format("goes on behind {}, but does not keep or open {}", to.name,
                                     joined(lacks)));
    }
  }

  void check_end(const Step& step, bool last) const {
    if (step.is_main() || !last) return;
    const Rule* const ok = step.rule("ok");
    if (ok == nullptr || ok->kind == Rule::Kind::kNext) {
      refuse(step.place, "the last step of a branch says where it goes: on.ok");
    }
    for (const auto& [event, rule] : step.on) {
      if (rule.kind == Rule::Kind::kNext) refuse(rule.place, "nothing follows");
    }
  }

  Flow& flow_;
};

/// What is known for certain when a step starts, on whatever way it was reached.
class Knowledge {
 public:
  explicit Knowledge(Loading& in) : in_(in), flow_(in.flow) {}

  void find() {
    Flood flood(flow_, Flood::Join::kAll,
                [this](const Step& step, std::string_view event, const Rule* /*rule*/,
                       const Names& at) { return behind(step, event, at); });
    Names start(flow_.uses.begin(), flow_.uses.end());
    start.insert(flow_.may_use.begin(), flow_.may_use.end());
    for (const auto& [name, birth] : flow_.born) start.insert(name);
    for (const auto& [name, input] : flow_.inputs) start.insert(name);
    for (const auto& [name, argument] : flow_.arguments) start.insert(name);
    start.insert({"run", "room", "idempotency", "client-metadata"});
    flood.run(start);
    flow_.known = flood.at();
  }

  void check() const {
    flow_.each_step([&](const Step& step) {
      const auto it = flow_.known.find({step.line, step.index});
      if (it != flow_.known.end()) check(step, it->second);
    });
    flow_.each_step([&](const Step& step) {
      if (!flow_.known.contains({step.line, step.index})) {
        refuse(step.place, fmt::format("{} is never reached", step.name));
      }
    });
  }

 private:
  Names behind(const Step& step, std::string_view event, const Names& at) const {
    Names out = at;
    if (event != "ok") return out;
    for (const Keep& keep : step.keeps) out.insert(keep.name);
    for (const Open& open : step.opens) {
      if (!in_.private_names.contains(open.name)) out.insert(open.name);
    }
    return out;
  }

  void check(const Step& step, const Names& known) const {
    for (const SlotUse& use : step.slots) {
      std::vector<std::string> needed = {use.name};
      if (!use.key.empty())
        needed.insert(needed.end(), {use.key + ".n", use.key + ".e", use.key + ".kid"});
      for (const std::string& name : needed) {
        if (known.contains(name)) continue;
        refuse(step.request_place,
               fmt::format("{} uses {}, which is not yet kept or opened on every way there",
                           step.name, name));
      }
    }
    for (const std::string& name : step.show) {
      if (known.contains(name)) continue;
      refuse(step.place, fmt::format("{} shows {}, which is not yet opened on every way there",
                                     step.name, name));
    }
    const std::string secret = flow_.key + "/secret";
    if (!step.sign_service.empty() && !known.contains(secret)) {
      refuse(step.sign_place,
             fmt::format("{} signs with {}, which is not yet kept on every way there", step.name,
                         secret));
    }
    for (const Assertion& one : step.asserts) {
      for (const std::string& name :
           names_in(one.equals.value_or("")).value_or(std::vector<std::string>())) {
        if (known.contains(name)) continue;
        refuse(one.place,
               fmt::format("{} compares with {}, which is not yet opened", step.name, name));
      }
    }
    check_item(step, known);
    for (const Keep& keep : step.keeps) {
      if (keep.missing_same && !known.contains(keep.name)) {
        refuse(keep.place, "missing = \"same\", but there is none yet");
      }
    }
  }

  void check_item(const Step& step, const Names& known) const {
    if (!step.item) return;
    for (const Filter& filter : step.item->filters) {
      for (const std::string& name : names_in(filter.value).value_or(std::vector<std::string>())) {
        if (filter.equal && !known.contains(name)) {
          refuse(step.item_place,
                 fmt::format("{} looks for {}, which is not yet opened on every way there",
                             step.name, name));
        }
        if (!flow_.is_opened(name) && !flow_.is_used(name) && !flow_.arguments.contains(name)) {
          refuse(step.item_place, fmt::format("an item is compared with public values: {}", name));
        }
      }
    }
  }

  Loading& in_;
  Flow& flow_;
};

/// A branch that goes on behind a step has asserted what that step asserts, on every way through
/// the branch since it was entered: an assertion holds from the `ok` of its step on, and until the
/// branch is entered again, goes back, or that step is asked again and refused.
class Asserted {
 public:
  explicit Asserted(const Flow& flow)
      : flow_(flow),
        flood_(flow, Flood::Join::kAll,
               [](const Step& step, std::string_view event, const Rule* rule, const Names& at) {
                 return behind(step, event, rule, at);
               }) {}

  void check() {
    flood_.run({});
    flow_.each_step([&](const Step& step) {
      if (step.is_main()) return;
      for (const auto& [event, rule] : step.on) {
        if (rule.kind == Rule::Kind::kAfter) check(step, event, rule);
      }
    });
  }

 private:
  static std::string mark(const Step& step, const Assertion& one) {
    // Parted by what no name of a line or an assertion holds.
    return fmt::format("{}\n{}\n{}{}", step.line, one.name, one.equals ? "is " : "absent",
                       one.equals.value_or(""));
  }

  static Names behind(const Step& step, std::string_view event, const Rule* rule, const Names& at) {
    Names out = at;
    for (const Assertion& one : step.asserts) {
      event == "ok" ? (void)out.insert(mark(step, one)) : (void)out.erase(mark(step, one));
    }
    if (rule == nullptr || (rule->kind != Rule::Kind::kBack && rule->kind != Rule::Kind::kBranch)) {
      return out;
    }
    std::erase_if(out, [&](const std::string& one) { return one.starts_with(rule->line + "\n"); });
    return out;
  }

  void check(const Step& step, const std::string& event, const Rule& rule) const {
    const Step& to = *flow_.step(rule.to);
    const Names held = flood_.behind(step, event, &rule);
    std::vector<std::string> lacks;
    for (const Assertion& one : to.asserts) {
      Step mine;
      mine.line = step.line;
      if (!held.contains(mark(mine, one))) lacks.push_back(one.name);
    }
    if (lacks.empty()) return;
    refuse(rule.place, fmt::format("goes on behind {} on `{}`, but does not assert {} on every way",
                                   to.name, event, joined(lacks)));
  }

  const Flow& flow_;
  Flood flood_;
};

/// What is replaced is proved, and nothing goes around the proof.
class Proofs {
 public:
  explicit Proofs(const Flow& flow) : flow_(flow) {}

  void check() const {
    flow_.each_step([&](const Step& step) {
      for (const Keep& keep : step.keeps) {
        if (!keep.replace || is_of_run(keep.name) || flow_.proof_of(keep.name) != nullptr) continue;
        refuse(keep.place,
               fmt::format("{} replaces a secret of the room: some step must prove it (proves = "
                           "\"{}\")",
                           keep.name, keep.name.substr(0, keep.name.find('/'))));
      }
    });
    flow_.each_step([&](const Step& step) {
      if (!step.proves.empty()) check(step);
    });
    flow_.each_step([&](const Step& step) {
      if (!step.proves.empty()) check_proved(step);
    });
  }

 private:
  /// Behind a proof nothing of its run is unproved, by whatever way that place was reached: what a
  /// step keeps below it is unproved from its `ok` on, until the `ok` of the proof.
  void check_proved(const Step& proof) const {
    const auto pass = [&](const Step& step, std::string_view event, const Rule* /*rule*/,
                          const Names& at) {
      Names out = at;
      if (event != "ok") return out;
      for (const Keep& keep : step.keeps) {
        if (lies_below(keep.name, proof)) out.insert(proof.proves);
      }
      if (step.proves == proof.proves) out.erase(proof.proves);
      return out;
    };
    Flood flood(flow_, Flood::Join::kAny, pass);
    flood.run({});
    // First where somebody goes past it, then what is kept behind it.
    for (const bool from_behind : {false, true}) {
      flow_.each_step([&](const Step& step) {
        if (from_behind != (step.is_main() && step.index > proof.index)) return;
        each_way_out(step, [&](std::string_view event, const Rule* rule, const Node& to) {
          if (to.first != "main" || to.second <= proof.index) return;
          if (!flood.behind(step, event, rule).contains(proof.proves)) return;
          refuse(rule == nullptr ? step.place : rule->place,
                 fmt::format("goes on behind {} with what {} has not proved below {}/", proof.name,
                             proof.name, proof.proves));
        });
      });
    }
  }

  bool lies_below(std::string_view name, const Step& proof) const {
    return name.starts_with(proof.proves + "/");
  }

  void check(const Step& proof) const {
    if (!proof.is_main()) refuse(proof.proves_place, "a proof is a step of the main line");
    for (const auto& [event, rule] : proof.on) {
      const bool on = rule.kind == Rule::Kind::kNext || rule.kind == Rule::Kind::kAfter;
      if (event != "ok" && on) {
        refuse(rule.place, fmt::format("leaves the proof of {} without it", proof.proves));
      }
    }
    bool any = false;
    flow_.each_step([&](const Step& step) {
      for (const Keep& keep : step.keeps) any |= lies_below(keep.name, proof);
    });
    if (!any) refuse(proof.proves_place, fmt::format("nothing is kept below {}/", proof.proves));
    flow_.each_step([&](const Step& step) {
      for (const auto& [event, rule] : step.on) {
        if (rule.leads() && rule.line == "main" && rule.index > proof.index) {
          check_jump(proof, step, rule);
        }
      }
    });
  }

  /// From where the main line was left, over a keep and its proof.
  void check_jump(const Step& proof, const Step& step, const Rule& rule) const {
    size_t source = step.index;
    if (!step.is_main()) {
      std::vector<size_t> entries;
      flow_.each_step([&](const Step& one) {
        for (const auto& [event, other] : one.on) {
          if (one.is_main() && other.kind == Rule::Kind::kBranch && other.to == step.line) {
            entries.push_back(one.index);
          }
        }
      });
      source = entries.empty() ? 0 : *std::min_element(entries.begin(), entries.end());
    }
    if (source >= proof.index) return;
    const Line& main = flow_.lines.front();
    for (size_t k = source; k <= proof.index; ++k) {
      for (const Keep& keep : main.steps[k].keeps) {
        if (!lies_below(keep.name, proof)) continue;
        refuse(rule.place, fmt::format("jumps over {}, which proves {}", proof.name, proof.proves));
      }
    }
  }

  const Flow& flow_;
};

}  // namespace

void check_ways(Loading& in) {
  Targets(in.flow).find();
  Knowledge knowledge(in);
  knowledge.find();
  knowledge.check();
  Asserted(in.flow).check();
  Proofs(in.flow).check();
}

}  // namespace flexroom::flow
