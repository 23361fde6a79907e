#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>

#include "base/bytes.h"
#include "base/hash.h"
#include "people/person_statement.h"

namespace flexroom::people {

/// The statements that this node made for somebody's eyes and whose signature it would take
/// (members.md 7.2, M42): each for ten minutes, exactly as it was made, once. Memory only: a
/// restart forgets all, so that nothing is ever replayed.
///
/// Threads  none: the caller's lock
class Tickets {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;
  static constexpr std::chrono::minutes kLife{10};
  static constexpr size_t kMostOpen = 1024;

  explicit Tickets(Clock clock = [] { return std::chrono::steady_clock::now(); })
      : clock_(std::move(clock)) {}

  /// st with a fresh ticket in it. Throws InputError when too many are open.
  PersonStatement issue(PersonStatement st);
  /// This very statement is open here.
  bool is_open(ByteView st);
  /// The same, and never again. False: it was not.
  bool take(ByteView st);
  /// Of a key that is to be enrolled for a person: 32 fresh bytes, the `challenge` of
  /// navigator.credentials.create().
  Digest issue_enrolment(const std::string& person);
  /// For whom that challenge was made; once. Empty: it is not open here.
  std::string take_enrolment(const Digest& challenge);

 private:
  struct Open {
    std::chrono::steady_clock::time_point until;
    Bytes st;            // or
    std::string person;  // of an enrolment
  };
  void forget_old();
  Clock clock_;
  std::map<Digest, Open> open_;  // by challenge
};

}  // namespace flexroom::people
