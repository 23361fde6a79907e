#include "cli/screen.h"

#include <fmt/core.h>
#include <unistd.h>

#include <csignal>

#include "base/codec.h"
#include "base/display.h"
#include "cli/people_voices.h"
#include "config/config.h"
#include "node/core.h"
#include "room/people.h"

namespace flexroom::cli {
namespace {

std::atomic<bool> cancelled{false};

void on_signal(int) {
  cancelled = true;
  // Whatever waits (for a member, the service, an answer at the terminal) looks at the flag.
  static const char kText[] = "\nstopping\n";
  (void)!write(STDERR_FILENO, kText, sizeof kText - 1);
}

}  // namespace

const std::atomic<bool>& cancel_flag() { return cancelled; }

void watch_signals() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

void throw_if_cancelled() {
  if (!cancelled) return;
  throw ProtocolAbort(AbortCode::kCancelled, "operator", "stopped by the operator");
}

void Screen::require_ready() {
  if (people_) return require_people(*people_);
  if (!yes_) Output::require_terminal();
}

std::string Screen::since_text(const Summary& summary, bool diff) {
  if (!summary.since) return diff ? "  nothing of this kind and title was approved before\n" : "";
  std::string fresh;
  for (const std::string& part : summary.new_each_run) fresh += (fresh.empty() ? "" : ", ") + part;
  if (summary.since->empty()) {
    return fresh.empty() ? "  as approved before, to the letter\n"
                         : "  as approved before; parts that are new in every run: " + fresh + "\n";
  }
  if (!diff) return "  not as it was last approved: --diff shows what changed\n";
  return "changed since it was last approved:\n" + *summary.since +
         (fresh.empty() ? "" : "  parts that are new in every run: " + fresh + "\n");
}

namespace {

nlohmann::json fields_of(const Summary& summary) {
  nlohmann::json fields = nlohmann::json::array();
  for (const Summary::Field& field : summary.fields) {
    fields.push_back({{"section", field.section},
                      {"name", field.name},
                      {"value", field.is_private ? "(private)" : field.value}});
  }
  return fields;
}

}  // namespace

void show_plan(Output& out, const Common& common, const Summary& summary,
               const std::vector<std::string>& unknown) {
  out.line(summary.text);
  for (const std::string& what : unknown) out.line("not known yet: " + what);
  const std::string since = Screen::since_text(summary, common.diff);
  if (!since.empty()) out.line(since);
}

void show_suites(Output& out, const std::vector<SuiteCost>& suites) {
  if (suites.empty()) return;
  std::string text = "suites      ";
  for (const SuiteCost& one : suites) {
    const bool offered = &one == &suites.front();
    const bool cheaper = one.bytes_each_way < suites.front().bytes_each_way;
    text += fmt::format("{} {}: {} ANDs, {:.1f} MB each way", offered ? "" : ";", one.suite,
                        one.ands, one.bytes_each_way / 1e6);
    text += offered ? " (offered)" : cheaper ? " (cheaper)" : " (no cheaper)";
  }
  out.line(text);
}

void show_client_auth(Output& out, uint64_t client_flight_ands) {
  if (client_flight_ands == 0) return;
  out.line(fmt::format(
      "client auth  none: a service that asks for a client certificate is told that there is none; "
      "{} of the handshake's ANDs, prepared whether or not it asks",
      client_flight_ands));
}

void show_padding(Output& out, const PaddingPlan& padding) {
  if (padding.pad == "none") return;
  out.line(
      fmt::format("padding      {}: the request goes out as {} bytes, {} ANDs more than without",
                  padding.pad, padding.sent_bytes, padding.more_ands));
  for (const PaddingPlan::Range& one : padding.ranges) {
    out.line(
        fmt::format("             requests of {} to {} bytes: {} ANDs more in the mean, at most {}",
                    one.from, one.to - 1, one.mean_ands, one.largest_ands));
  }
}

nlohmann::json padding_fields(const PaddingPlan& padding) {
  nlohmann::json ranges = nlohmann::json::array();
  for (const PaddingPlan::Range& one : padding.ranges) {
    ranges.push_back({{"from", one.from},
                      {"to", one.to},
                      {"mean_ands", one.mean_ands},
                      {"largest_ands", one.largest_ands}});
  }
  return {{"pad", padding.pad},
          {"sent_bytes", padding.sent_bytes},
          {"more_ands", padding.more_ands},
          {"ranges", ranges}};
}

nlohmann::json suite_fields(const std::vector<SuiteCost>& suites) {
  nlohmann::json out = nlohmann::json::array();
  for (const SuiteCost& one : suites) {
    out.push_back({{"suite", one.suite},
                   {"ands", one.ands},
                   {"preprocessing_bytes_each_way", one.bytes_each_way}});
  }
  return out;
}

nlohmann::json plan_fields(const Summary& summary, const std::vector<std::string>& unknown) {
  nlohmann::json out = {{"kind", summary.command},
                        {"title", summary.title},
                        {"fields", fields_of(summary)},
                        {"text", summary.text},
                        {"not_known_yet", unknown}};
  // Of what is not whole no digest will be approved.
  if (unknown.empty()) out["digest"] = summary.digest;
  if (summary.since) {
    out["since"] = *summary.since;
    out["new_each_run"] = summary.new_each_run;
  }
  return out;
}

void Screen::show(const Summary& summary) {
  out_.summary("\n" + summary.text);
  const std::string since = since_text(summary, diff_);
  if (!since.empty()) out_.summary(since);
  out_.event("proposal", {{"digest", summary.digest},
                          {"kind", summary.command},
                          {"title", summary.title},
                          {"fields", fields_of(summary)},
                          {"text", summary.text}});
}

Decider::Answer Screen::approve(const Summary& summary) {
  show(summary);
  throw_if_cancelled();
  return yes_ || out_.confirm("Approve?", &cancelled) ? Answer::kYes : Answer::kNo;
}

void Screen::approved_by_rule(const Summary& summary) {
  show(summary);
  out_.note("approved by the rule auto_approve of member.toml");
}

Decider::Answer Screen::approve_by_people(const Summary& summary, PeopleVoices& voices) {
  show(summary);
  throw_if_cancelled();
  const Common common = people_.value_or(Common{});
  // A yes at the terminal signs nothing; before a key signs here, somebody says so.
  const bool signs_here = !common.sign_with.empty();
  if (signs_here && !yes_ &&
      !out_.confirm("Sign with " + signers(common, voices) + "?", &cancelled)) {
    return Answer::kNo;
  }
  for (const std::filesystem::path& file : common.sign_with) {
    if (voices.needed() > 0) sign_here(out_, common, file, voices);
  }
  if (voices.needed() > 0 && !common.voices.empty()) {
    (void)await_voices(out_, common.voices, voices, cancelled);
  }
  throw_if_cancelled();
  return voices.needed() == 0 ? Answer::kYes : Answer::kNotNow;
}

std::optional<std::string> Screen::human_input(const Question& question) {
  if (question.kind == Question::Kind::kText) {
    // `yes` approves; it knows no answers.
    throw_if_cancelled();
    const std::optional<SecretBytes> line =
        question.is_secret ? out_.ask_secret(question.text)
                           : out_.ask(question.text, question.within, &cancelled, question.shown);
    return line ? std::optional(to_text(line->reveal())) : std::nullopt;
  }
  if (question.kind == Question::Kind::kConsent) {
    if (!knows_ && (yes_ || !Output::has_terminal())) return std::nullopt;
    if (knows_) out_.note(question.text + " --i-know says yes.");
    return knows_ || out_.confirm(question.text, &cancelled) ? "yes" : "no";
  }
  return yes_ || out_.confirm(question.text, &cancelled) ? "yes" : "no";
}

void Screen::opened_to_us(std::string_view name, std::string_view value) {
  out_.line(fmt::format("{} (to this member alone): {}", display(name), display(value)));
  out_.event("opened", {{"name", std::string(name)}, {"value", std::string(value)}});
}

void Screen::timeline(const std::vector<Phase>& phases) {
  if (show_phases_ || out_.json()) out_.table(phases);
}

// The node has the member's address, and meets the others' nodes there.
void require_no_node(const Common& common) {
  const MemberConfig member = MemberConfig::load(common.member_file);
  if (!node::node_runs(member.state_dir)) return;
  throw InputError(common.member_file.string(),
                   "the resident node of this member runs, and has its state and address",
                   "`flexroom propose` lets the nodes run it; for what cannot wait, stop the node "
                   "at all members first (`systemctl stop flexroom-node`)");
}

OpenRoom::OpenRoom(const Common& common, bool only_looks)
    : hooks_{common.fault, common.connected, common.clock} {
  if (!only_looks) require_no_node(common);
  RoomOptions options;
  options.member_file = common.member_file;
  options.cancel = &cancelled;
  options.only_looks = only_looks;
  if (common.trace) options.trace_file = *common.trace;
  options.hooks = &hooks_;
  room_ = std::make_unique<Room>(options);
}

Joint::Joint(Output& out, const Common& common)
    : room_(common),
      screen_(out, common.yes, common.diff, common.knows),
      session_(*room_, screen_) {
  if (room::has_people(*room_)) screen_.expect_people(common);
  watch_signals();
}

}  // namespace flexroom::cli
