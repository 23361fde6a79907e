#pragma once

#include <string>
#include <vector>

#include "agent/answer_cipher.h"
#include "agent/prepared_circuits.h"
#include "agent/sealed_plan.h"

namespace flexroom::agent {

/// The circuits of one sealed answer (tls-in-mpc.md §4.2, §4.5, §5.6), beside the keys of its
/// connection (AnswerKeys). They run in the order of the phases; sizes follow from the plan alone.
class SealedCircuits : public PreparedCircuits {
 public:
  /// `key_updates`: those that this answer may meet. Budgeted by the connection, any of them may
  /// come in any answer. `in_parts`: keystream is cut so that what is not needed can be left for
  /// the next answer.
  SealedCircuits(const SealedPlan& plan, const AnswerCipher& cipher, size_t key_updates,
                 bool in_parts);
  SealedCircuits(const SealedPlan& plan, const AnswerCipher& cipher)
      : SealedCircuits(plan, cipher, plan.key_updates, false) {}

  /// Keystream blocks that are still prepared under that name.
  size_t keystream_left(std::string_view name) const;
  /// The circuit to run for these blocks or the first of them, or null where none is left: the one
  /// that leaves the least unused. Equal at all members.
  Prepared* keystream_for(std::string_view name, size_t blocks);

  // names
  static constexpr std::string_view kTypes = "answer types", kStatus = "answer status",
                                    kHeaderBlocks = "header keystream", kHeader = "header outline",
                                    kDigits = "length digits", kDate = "cookie date",
                                    kAge = "cookie age", kBodyBlocks = "body keystream",
                                    kBody = "body outline", kSizeLine = "chunk size",
                                    kSearch = "code search", kClasses = "classes";
  static constexpr size_t kLengthDigits = 7, kAgeDigits = 10, kDateBytes = 29, kSizeBytes = 3;
  /// Fills up what `after` looks through in JSON (§5.5): no byte of a literal or a class.
  static constexpr char kBehindJson = '\xff';
  static std::string search_name(size_t item) {
    return std::string(kSearch) + " " + std::to_string(item);
  }
  static size_t blocks_of(const mpc::Program& program);

 private:
  void add_keystream(std::string_view name, size_t bytes, size_t breaks);
  void add_blocks(std::string_view name, size_t blocks);
  size_t in_steps(size_t blocks) const;
  void add_header();
  void add_body();
  void add_values();

  const SealedPlan& plan_;
  const AnswerCipher& cipher_;
  const size_t key_updates_;
  const bool in_parts_;
};

/// Header outlines that are prepared: the window of an answer that is read while it comes may end
/// before the header does (§4.11).
inline size_t header_windows(const SealedPlan& plan) { return plan.keep_alive ? 2 : 1; }

/// The sets of the class circuit, a byte each: items in order, each with its greatest length; a
/// number has its form too. Empty where no item has a class that says anything.
std::vector<http::CharSet> class_sets(const SealedPlan& plan);
/// The items that have a part in it.
bool has_class_check(const SealedItem& item);

}  // namespace flexroom::agent
