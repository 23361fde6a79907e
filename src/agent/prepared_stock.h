#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "boolean/engine.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::agent {

/// What was prepared for an answer and was not needed to read it: circuits that know nothing of the
/// answer they were made for, and products of zero tests. The next answer of the session takes from
/// here before anything is made anew (tls-in-mpc.md §4.2 "Left over").
///
/// Order      put() behind the confirmation of an answer; agree(), then take() for the next one
/// Guarantee  what is taken is the same at all members and leaves once; an instance was never
///            started: no label of it has left, and what it runs on is bound by the view of its run
/// Errors     agree(): kDisagreement naming the member, with nothing taken
/// Threads    one; members make the same calls in the same order
/// Memory     of each circuit at most as many as one answer has of it
class PreparedStock {
 public:
  /// An instance that is prepared and was not started, of a program without `zero` inputs.
  void put(std::string_view name, std::unique_ptr<boolean::Instance> instance);
  void put_products(std::vector<prep::VecTriple> products);

  /// Compares with all members everything that was put here and taken so far.
  void agree(net::Party& party) const;
  /// The oldest of that name and program, or null.
  std::unique_ptr<boolean::Instance> take(std::string_view name, const mpc::Program& program);
  /// As many as there are, at most so many.
  std::vector<prep::VecTriple> take_products(size_t most);

  size_t count(std::string_view name, const mpc::Program& program) const;
  /// Of an aborted session nothing is used again (boolean-engine.md §10.1(6)).
  void erase();

 private:
  using Key = std::pair<std::string, Digest>;  // name, program
  void note(std::string_view what, const Digest& id, uint64_t count);

  std::map<Key, std::deque<std::unique_ptr<boolean::Instance>>> circuits_;
  std::vector<prep::VecTriple> products_;
  Digest history_{};
};

}  // namespace flexroom::agent
