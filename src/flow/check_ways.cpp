#include <fmt/core.h>

#include <algorithm>
#include <deque>

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
    std::vector<const Assertion*> asserts;
    const auto add = [&](const Step& one) {
      for (const std::string& name : made_by(one)) mine.insert(name);
      for (const Assertion& assertion : one.asserts) asserts.push_back(&assertion);
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
    for (const Assertion& assertion : to.asserts) {
      const bool held = std::any_of(asserts.begin(), asserts.end(), [&](const Assertion* other) {
        return other->name == assertion.name && other->equals == assertion.equals;
      });
      if (!held) lacks.push_back(assertion.name);
    }
    if (!lacks.empty() && !step.is_main()) {
      refuse(rule.place,
             fmt::format("goes on behind {}, but does not assert {}", to.name, joined(lacks)));
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
    Names start(flow_.uses.begin(), flow_.uses.end());
    start.insert(flow_.may_use.begin(), flow_.may_use.end());
    for (const auto& [name, birth] : flow_.born) start.insert(name);
    for (const auto& [name, input] : flow_.inputs) start.insert(name);
    for (const auto& [name, argument] : flow_.arguments) start.insert(name);
    start.insert({"run", "room", "idempotency", "client-metadata"});
    reach({"main", 0}, start);
    while (!work_.empty()) {
      const Node node = work_.front();
      work_.pop_front();
      const Line* const line = flow_.line(node.first);
      if (node.second < line->steps.size()) leave(node, line->steps[node.second]);
    }
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
  void reach(const Node& node, const Names& names) {
    const auto [it, is_new] = flow_.known.emplace(node, names);
    if (is_new) return work_.push_back(node);
    Names both;
    std::set_intersection(it->second.begin(), it->second.end(), names.begin(), names.end(),
                          std::inserter(both, both.end()));
    if (both == it->second) return;
    it->second = std::move(both);
    work_.push_back(node);
  }

  void leave(const Node& node, const Step& step) {
    const Names base = flow_.known.at(node);
    Names got = base;
    for (const Keep& keep : step.keeps) got.insert(keep.name);
    for (const Open& open : step.opens) {
      if (!in_.private_names.contains(open.name)) got.insert(open.name);
    }
    const Node next = {node.first, node.second + 1};
    if (step.rule("ok") == nullptr) reach(next, got);
    for (const auto& [event, rule] : step.on) {
      const Names& out = event == "ok" ? got : base;
      if (rule.leads()) reach({rule.line, rule.index}, out);
      if (rule.kind == Rule::Kind::kNext) reach(next, out);
      if (rule.kind == Rule::Kind::kAgain) reach(node, out);
    }
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
  std::deque<Node> work_;
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
  }

 private:
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
  Proofs(in.flow).check();
}

}  // namespace flexroom::flow
