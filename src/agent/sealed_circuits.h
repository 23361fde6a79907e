#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/context.h"
#include "agent/sealed_plan.h"
#include "agent/views.h"
#include "boolean/engine.h"

namespace flexroom::agent {

/// The circuits of one sealed answer, garbled before the service is contacted and run as far as the
/// answer needs them (tls-in-mpc.md §4.2, §4.5, §5.6). Sizes follow from the plan alone.
///
/// Order      prepare(); then each circuit at most once, in the order of the phases
/// Guarantee  every run binds A4 and its public inputs by the view of the instance; what a circuit
///            keeps goes into the next one as `dyn`, after this member's own checks of the first
class SealedCircuits {
 public:
  explicit SealedCircuits(const SealedPlan& plan);

  void prepare(const Context& context);
  /// Of all circuits, known before prepare().
  uint64_t num_ands() const;
  uint64_t num_triples() const;
  /// R of the server's GHASH key: input of GC-C.
  void set_hash_bits(prep::AuthBits r) { r_s_ = std::move(r); }

  /// One prepared circuit.
  struct Prepared {
    std::string name;
    std::shared_ptr<const mpc::Program> program;
    std::unique_ptr<boolean::Instance> instance;  // behind prepare()
  };
  /// What goes into a circuit that runs, by group name.
  struct Inputs {
    std::vector<std::pair<std::string_view, const prep::AuthBits*>> dyn;
    std::vector<std::pair<std::string_view, std::vector<uint8_t>>> pub;
  };
  /// A circuit of that name that has not run yet, or null where the plan prepared none (any more).
  Prepared* find(std::string_view name);
  /// Runs it; outputs by group of its program.
  boolean::Outputs run(Prepared& circuit, const Inputs& inputs, const Views& views,
                       const Digest& a4);
  /// Keystream blocks that are still prepared under that name.
  size_t keystream_left(std::string_view name) const;

  void confirm();
  void erase();

  // names
  static constexpr std::string_view kKeys = "answer keys", kTypes = "answer types",
                                    kStatus = "answer status", kHeaderBlocks = "header keystream",
                                    kHeader = "header outline", kDigits = "length digits",
                                    kDate = "cookie date", kAge = "cookie age",
                                    kBodyBlocks = "body keystream", kBody = "body outline",
                                    kSizeLine = "chunk size", kSearch = "code search",
                                    kClasses = "classes";
  static constexpr size_t kLengthDigits = 7, kAgeDigits = 10, kDateBytes = 29, kSizeBytes = 3;
  static std::string search_name(size_t item) {
    return std::string(kSearch) + " " + std::to_string(item);
  }
  static size_t blocks_of(const boolean::Instance& instance);

 private:
  void add(std::string_view name, std::shared_ptr<const mpc::Program> program);
  void add_keystream(std::string_view name, size_t blocks);
  void add_header();
  void add_body();
  void add_values();

  const SealedPlan& plan_;
  const Context* context_ = nullptr;
  prep::AuthBits r_s_;
  std::deque<Prepared> circuits_;
  std::vector<boolean::Instance*> ran_;
};

/// The sets of the class circuit, a byte each: items in order, each with its greatest length; a
/// number has its form too. Empty where no item has a class that says anything.
std::vector<http::CharSet> class_sets(const SealedPlan& plan);
/// The items that have a part in it.
bool has_class_check(const SealedItem& item);

}  // namespace flexroom::agent
