#pragma once

#include "flexroom/decider.h"

namespace flexroom::room {

/// A program's Decider as this library calls it: whatever its code throws, also what is no
/// std::exception, undoes nothing that happened.
///
/// Tells  progress, note, opened_to_us, timeline: what they throw is dropped
/// Asks   the others: an exception goes on, always as one derived from std::exception, so that it
///        is logged, told to the members and shown like any other failure. Nothing of the sort is
///        asked while a request is under way
class GuardedDecider final : public Decider {
 public:
  /// `inner` outlives it.
  explicit GuardedDecider(Decider& inner) : inner_(inner) {}
  void require_ready() override;
  Answer approve(const Summary& summary) override;
  void approved_by_rule(const Summary& summary) override;
  Answer approve_by_people(const Summary& summary, PeopleVoices& voices) override;
  std::optional<std::string> human_input(const Question& question) override;
  void progress(const Progress& progress) noexcept override;
  void note(std::string_view text) noexcept override;
  void opened_to_us(std::string_view name, std::string_view value) noexcept override;
  void timeline(const std::vector<Phase>& phases) noexcept override;

 private:
  Decider& inner_;
};

}  // namespace flexroom::room
