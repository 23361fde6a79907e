#pragma once

#include <atomic>
#include <memory>

#include "cli/commands.h"
#include "flexroom/session.h"
#include "room/hooks.h"

namespace flexroom::cli {

/// Set by SIGINT and SIGTERM once watch_signals() was called.
const std::atomic<bool>& cancel_flag();
void watch_signals();
/// Throws kCancelled once it is set.
void throw_if_cancelled();

/// Shows what is decided and told, and asks at the terminal; with `yes` it answers for itself.
class Screen final : public Decider {
 public:
  Screen(Output& out, bool yes, bool diff = false, bool knows = false)
      : out_(out), yes_(yes), diff_(diff), knows_(knows) {}
  /// The member has people: how they sign (Common::sign_with, voices, key_passphrase).
  void expect_people(const Common& common) { people_ = common; }
  void require_ready() override;
  Answer approve(const Summary& summary) override;
  void approved_by_rule(const Summary& summary) override;
  /// Signs with the key files that were given, after a yes where there is somebody to give one;
  /// then lays requests for the others into the folder and takes what comes back.
  Answer approve_by_people(const Summary& summary, PeopleVoices& voices) override;
  std::optional<std::string> human_input(const Question& question) override;
  void progress(const Progress& progress) override { out_.progress(progress); }
  void note(std::string_view text) override { out_.note(text); }
  void opened_to_us(std::string_view name, std::string_view value) override;
  void timeline(const std::vector<Phase>& phases) override;
  /// Phases are shown, else with --json only.
  void show_phases() { show_phases_ = true; }

  /// What changed since the last approval, in words; with --diff all of it.
  static std::string since_text(const Summary& summary, bool diff);

 private:
  void show(const Summary& summary);
  Output& out_;
  bool yes_;
  bool diff_;  // also what changed since the last approval
  std::optional<Common> people_;
  bool knows_;  // the answer to what a person has to know: --yes is none
  bool show_phases_ = false;
};

/// What a plan shows of what would be approved: the same text as before the question. `unknown`:
/// what the other members bring.
void show_plan(Output& out, const Common& common, const Summary& summary,
               const std::vector<std::string>& unknown);
/// The same for machines.
nlohmann::json plan_fields(const Summary& summary, const std::vector<std::string>& unknown);

/// What it takes under each suite, which is offered and which would be cheaper, by what is sent:
/// gates alone leave out what tags take.
void show_suites(Output& out, const std::vector<SuiteCost>& suites);
/// What `client_auth = "none"` means and takes; nothing where no host has it.
void show_client_auth(Output& out, uint64_t client_flight_ands);
/// The same for machines.
/// What `pad` costs; nothing where there is none.
void show_padding(Output& out, const PaddingPlan& padding);
nlohmann::json padding_fields(const PaddingPlan& padding);
nlohmann::json suite_fields(const std::vector<SuiteCost>& suites);

/// Throws InputError, with what to do, while a resident node of this member runs.
void require_no_node(const Common& common);

/// This member's room, for a command.
class OpenRoom {
 public:
  /// `only_looks`: for commands that only show something (RoomOptions). Else as require_no_node().
  explicit OpenRoom(const Common& common, bool only_looks = false);
  Room& operator*() { return *room_; }
  Room* operator->() { return room_.get(); }

 private:
  room::Hooks hooks_;
  std::unique_ptr<Room> room_;
};

/// A command that runs with all members.
class Joint {
 public:
  Joint(Output& out, const Common& common);
  Screen& screen() { return screen_; }
  Room& room() { return *room_; }
  Session* operator->() { return &session_; }

 private:
  OpenRoom room_;
  Screen screen_;
  Session session_;
};

}  // namespace flexroom::cli
