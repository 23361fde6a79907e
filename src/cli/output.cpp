#include "cli/output.h"

#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace flexroom::cli {
namespace {

void print_json(const nlohmann::json& object) {
  fmt::print("{}\n", object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  std::fflush(stdout);
}

}  // namespace

void Output::end_progress() {
  if (!progress_shown_) return;
  std::fputs("\r\033[K", stderr);
  progress_shown_ = false;
}

void Output::line(std::string_view text) {
  if (json_) return;
  end_progress();
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

void Output::summary(std::string_view text) {
  if (json_) return;
  end_progress();
  fmt::print(stderr, "{}\n", text);
}

void Output::event(const std::string& name, nlohmann::json fields) {
  if (!json_) return;
  fields["event"] = name;
  print_json(fields);
}

void Output::result(nlohmann::json fields) {
  if (json_) print_json(fields);
}

void Output::note(const std::string& text) {
  if (text == last_note_) return;
  last_note_ = text;
  if (json_) return event("note", {{"text", text}});
  end_progress();
  fmt::print(stderr, "{}\n", text);
}

void Output::expect(std::vector<Step> steps) {
  steps_ = std::move(steps);
  std::erase_if(steps_, [](const Step& step) { return step.weight <= 0; });
  step_ = 0;
  step_share_ = 0;
  start_ = Clock::now();
}

double Output::share_of_all(std::string_view phase, uint64_t done, uint64_t total) {
  const auto next = std::find_if(steps_.begin() + static_cast<ptrdiff_t>(step_), steps_.end(),
                                 [&](const Step& step) { return step.phase == phase; });
  if (next != steps_.end()) {
    step_ = static_cast<size_t>(next - steps_.begin());
    step_share_ = 0;
  }
  // A step may be of several works one after the other: it never goes back.
  if (total != 0) {
    step_share_ = std::max(step_share_, static_cast<double>(done) / static_cast<double>(total));
  }
  double all = 0, before = 0;
  for (size_t k = 0; k < steps_.size(); ++k) {
    all += steps_[k].weight;
    before += k < step_ ? steps_[k].weight : k == step_ ? step_share_ * steps_[k].weight : 0;
  }
  return before / all;
}

void Output::progress(std::string_view phase, uint64_t done, uint64_t total) {
  const auto now = Clock::now();
  std::optional<double> share;
  if (!steps_.empty()) {
    share = share_of_all(phase, done, total);
    if (total != 0) phase = steps_[step_].phase;
  } else if (total != 0) {
    share = static_cast<double>(done) / static_cast<double>(total);
  }
  if (phase != phase_) {
    phase_ = std::string(phase);
    if (steps_.empty()) start_ = now;
  } else if (now - last_shown_ < std::chrono::milliseconds(200) && done != total) {
    return;
  }
  last_shown_ = now;
  // Of the first hundredth nothing can be concluded.
  std::optional<double> left;
  if (share && *share >= 0.01) {
    left = std::chrono::duration<double>(now - start_).count() * (1 - *share) / *share;
  }
  if (json_) {
    nlohmann::json fields = {{"phase", phase_}};
    if (share) fields["percent"] = 100 * *share;
    if (left) fields["eta_seconds"] = *left;
    event("progress", std::move(fields));
    return;
  }
  if (isatty(STDERR_FILENO) == 0) return;
  std::string text = phase_;
  text += share ? fmt::format(" {:.0f} %", 100 * *share) : " ...";
  if (left) text += fmt::format("  about {:.1f} s left", *left);
  fmt::print(stderr, "\r\033[K{}", text);
  std::fflush(stderr);
  progress_shown_ = true;
}

void Output::table(const std::vector<agent::Timeline::Phase>& phases) {
  nlohmann::json rows = nlohmann::json::array();
  double longest = 1e-9;
  for (const auto& phase : phases) longest = std::max(longest, phase.seconds);
  line(fmt::format("{:<34} {:>9} {:>10} {:>9} {:>7}", "where the seconds went", "seconds",
                   "KB sent", "ANDs", "flows"));
  double total = 0;
  for (const auto& phase : phases) {
    total += phase.seconds;
    const auto bar = static_cast<size_t>(20 * phase.seconds / longest);
    line(fmt::format("  {:<32} {:>9.3f} {:>10.1f} {:>9} {:>7} {}", phase.name, phase.seconds,
                     static_cast<double>(phase.bytes_sent) / 1000, phase.ands, phase.half_rounds,
                     std::string(bar, '#')));
    rows.push_back({{"phase", phase.name},
                    {"seconds", phase.seconds},
                    {"bytes_sent", phase.bytes_sent},
                    {"ands", phase.ands},
                    {"half_rounds", phase.half_rounds}});
  }
  line(fmt::format("  {:<32} {:>9.3f}", "total", total));
  event("timeline", {{"phases", rows}, {"total_seconds", total}});
}

bool Output::confirm(std::string_view question, const std::atomic<bool>* cancel) {
  if (isatty(STDIN_FILENO) == 0) {
    throw InputError(
        "approval", "there is no terminal to ask at",
        "run it in a terminal, or pass --yes if a rule of your organisation allows it");
  }
  end_progress();
  fmt::print(stderr, "{} [y/N] ", question);
  std::fflush(stderr);
  // Byte by byte and polled: a signal alone does not end a read that is restarted.
  std::string answer;
  while (answer.size() < 16) {
    if (cancel != nullptr && *cancel) {
      throw ProtocolAbort(AbortCode::kCancelled, "operator", "stopped by the operator");
    }
    pollfd input{STDIN_FILENO, POLLIN, 0};
    if (::poll(&input, 1, 100) <= 0) continue;
    char c = 0;
    if (::read(STDIN_FILENO, &c, 1) <= 0 || c == '\n' || c == '\r') break;
    answer.push_back(c);
  }
  return answer == "y" || answer == "Y" || answer == "yes";
}

int report(Output& out, const std::exception& error, bool released) {
  int code = kBadInput;
  std::string kind = "error";
  std::string text = error.what();
  nlohmann::json where;
  const auto input_error = [&](const InputError& input) {
    text = input.what();
    where = {{"place", input.place()}, {"problem", input.problem()}, {"remedy", input.remedy()}};
  };
  if (const auto* input = dynamic_cast<const InputError*>(&error)) input_error(*input);
  if (const auto* io = dynamic_cast<const std::filesystem::filesystem_error*>(&error)) {
    input_error({io->path1().string(), io->code().message(),
                 "give another path, or make this one usable for this user"});
  }
  if (const auto* abort = dynamic_cast<const ProtocolAbort*>(&error)) {
    kind = std::string(to_string(abort->abort_class()));
    switch (abort->abort_class()) {
      case AbortClass::kRefuse:
        code = kRefused;
        break;
      case AbortClass::kNetwork:
        code = kNetworkFailed;
        break;
      case AbortClass::kFpCheat:
        code = kCheat;
        text +=
            "\n  A member's message failed a check over F_p: this session's arithmetic material "
            "is destroyed and a strike is counted. Find out why before you run again.";
        break;
      case AbortClass::kBooleanCheat:
        code = kCheat;
        text +=
            "\n  A check of the boolean engine failed: the epoch is burned at this member and "
            "its secrets cannot be used any more. Find out why; then run `flexroom init "
            "--new-epoch` at all members and import the secrets again from their source.";
        break;
    }
  }
  if (released) {
    code = kUnknown;
    text +=
        "\n  The request had been released: it may have been carried out. Look at the "
        "provider before you run again.";
  }
  if (out.json()) {
    nlohmann::json last{{"ok", false}, {"class", kind}, {"error", text}, {"exit", code}};
    if (where.is_object()) last.update(where);
    out.result(last);
  } else {
    out.end_progress();
    fmt::print(stderr, "flexroom: {}\n", text);
  }
  return code;
}

}  // namespace flexroom::cli
