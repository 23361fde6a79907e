#include "room/guarded_decider.h"

#include <exception>
#include <stdexcept>

namespace flexroom::room {
namespace {

template <typename Call>
auto asked(Call call) {
  try {
    return call();
  } catch (const std::exception&) {
    throw;
  } catch (...) {
    throw std::runtime_error(
        "the program's Decider threw something that is no std::exception, in place of an answer");
  }
}

template <typename Call>
void told(Call call) noexcept {
  try {
    call();
  } catch (...) {  // telling is no part of the outcome
  }
}

}  // namespace

void GuardedDecider::require_ready() {
  asked([&] { inner_.require_ready(); });
}

Decider::Answer GuardedDecider::approve(const Summary& summary) {
  return asked([&] { return inner_.approve(summary); });
}

void GuardedDecider::approved_by_rule(const Summary& summary) {
  asked([&] { inner_.approved_by_rule(summary); });
}

Decider::Answer GuardedDecider::approve_by_people(const Summary& summary, PeopleVoices& voices) {
  return asked([&] { return inner_.approve_by_people(summary, voices); });
}

std::optional<std::string> GuardedDecider::human_input(const Question& question) {
  return asked([&] { return inner_.human_input(question); });
}

void GuardedDecider::progress(const Progress& progress) noexcept {
  told([&] { inner_.progress(progress); });
}

void GuardedDecider::note(std::string_view text) noexcept {
  told([&] { inner_.note(text); });
}

void GuardedDecider::opened_to_us(std::string_view name, std::string_view value) noexcept {
  told([&] { inner_.opened_to_us(name, value); });
}

void GuardedDecider::timeline(const std::vector<Phase>& phases) noexcept {
  told([&] { inner_.timeline(phases); });
}

}  // namespace flexroom::room
