#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "agent/answer_keys.h"
#include "agent/sealed_circuits.h"
#include "agent/sealed_reply.h"
#include "agent/sealed_text.h"
#include "http/select.h"

namespace flexroom::agent {

/// A sealed answer that is not selected from, by its name (tls-in-mpc.md §5.6); holds no byte of
/// it.
class SealedFault : public std::runtime_error {
 public:
  enum class Outcome : uint8_t {
    kAnswered,  // the service answered; nothing of it is kept or opened
    kUnknown,   // there is no whole answer: the request may have been carried out (§5.8)
  };
  explicit SealedFault(const std::string& name, Outcome outcome = Outcome::kAnswered)
      : std::runtime_error(name), outcome_(outcome) {}
  Outcome outcome() const { return outcome_; }

 private:
  Outcome outcome_;
};

/// One answer while it is read: what all its parts share. Every opening of the answer is a method
/// here, books itself in `leak`, and takes verified records only.
class SealedAnswer {
 public:
  SealedAnswer(const SealedPlan& the_plan, SealedCircuits& prepared_circuits, AnswerKeys& the_keys,
               SealedText& of_records, const Context& context, const Views& of_connection)
      : plan(the_plan),
        circuits(prepared_circuits),
        keys(the_keys),
        text(of_records),
        views(of_connection),
        party(context.party),
        delta(context.source.delta()) {}

  /// Opens bits to all, with MAC (boolean-engine.md §3.4).
  std::vector<uint8_t> open(const prep::AuthBits& bits, std::string_view label) const;
  Bytes open_bytes(std::span<const RecordByte> bytes, std::string_view label) const;
  /// Computes the keystream of these bytes where it is not there yet; `circuit` names where it is
  /// prepared. Throws SealedFault("too long") where not enough is.
  void decrypt(std::span<const RecordByte> bytes, std::string_view circuit);
  /// Runs keystream circuits for these blocks.
  void compute_blocks(std::vector<std::pair<uint32_t, uint32_t>> places, std::string_view circuit);
  void compute_block_run(SealedCircuits::Prepared& circuit,
                         std::span<const std::pair<uint32_t, uint32_t>> places);
  /// The prepared circuit, which the plan made for this (asserted).
  SealedCircuits::Prepared& prepared(std::string_view name);
  boolean::Outputs run(SealedCircuits::Prepared& circuit, const SealedCircuits::Inputs& inputs) {
    return circuits.run(circuit, inputs, views, a4);
  }
  /// Runs a circuit whose one input is "text", filled up with `filler`.
  boolean::Outputs run_on_text(SealedCircuits::Prepared& circuit, std::span<const RecordByte> bytes,
                               char filler);
  /// The one class bit of a circuit "ok" on these bytes.
  bool class_bit(std::string_view circuit, std::span<const RecordByte> bytes, char filler);

  const SealedPlan& plan;
  SealedCircuits& circuits;
  AnswerKeys& keys;
  SealedText& text;
  const Views& views;
  net::Party& party;
  const Block delta;
  Digest a4{};
  std::vector<prep::VecTriple> products;  // one a zero test
  SealedLeak leak;
};

/// The bytes of a header or a body as http/select.h asks about them: `equal` is a zero test with a
/// product of its own (§5.4), several in one message; a class is a circuit.
class SealedBytes : public http::AnswerBytes {
 public:
  /// `bytes`: where byte k of the header or body is; they are decrypted.
  SealedBytes(SealedAnswer& answer, std::vector<RecordByte> bytes)
      : answer_(answer), bytes_(std::move(bytes)) {}

  void ask_together(const std::vector<Question>& questions) override;
  bool equal(http::Span span, std::string_view text, bool any_case) override;
  bool in_classes(http::Span span, const std::vector<http::CharSet>& sets) override;
  bool have_escape(const std::vector<http::Span>& strings) override;
  std::string open_marks(const std::vector<size_t>& at) override;
  std::string open_date(http::Span span) override;

  /// More of the same text is decrypted: `bytes` begins with what was there.
  void extend(std::vector<RecordByte> bytes) { bytes_ = std::move(bytes); }
  /// Of a JSON body: a bit a byte (circuits::JsonOutline::escapes).
  void set_escapes(prep::AuthBits escapes) { escapes_ = std::move(escapes); }
  std::vector<RecordByte> at(http::Span span) const {
    return {bytes_.begin() + static_cast<ptrdiff_t>(span.begin),
            bytes_.begin() + static_cast<ptrdiff_t>(span.end)};
  }
  size_t size() const { return bytes_.size(); }

 private:
  using Key = std::tuple<size_t, size_t, std::string, bool>;
  static Key key_of(const Question& question) {
    return {question.span.begin, question.span.end, std::string(question.text), question.any_case};
  }
  prep::AuthBits difference(const Question& question) const;

  SealedAnswer& answer_;
  std::vector<RecordByte> bytes_;
  prep::AuthBits escapes_;
  std::map<Key, bool> asked_;  // a question is asked once
  std::map<size_t, char> opened_;
};

}  // namespace flexroom::agent
