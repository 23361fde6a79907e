#include "circuits/code_search.h"

#include "base/error.h"
#include "circuits/json_characters.h"
#include "circuits/marks.h"

namespace flexroom::circuits {
namespace {

/// One byte after another; letters as in tls-in-mpc.md §5.5.
class CodeReader {
 public:
  CodeReader(std::string_view literal, const ByteSet& run_class,
             const std::optional<ByteSet>& terminator)
      : literal_(literal),
        run_class_(run_class),
        terminator_(terminator),
        goes_on_(byte_set("u")),
        matched_(literal.size()) {}

  /// Of a JSON string: the literal begins where a character does.
  void read_characters() {
    characters_.emplace(literal_);
    if (run_class_['/']) goes_on_.set('/');  // `\/` is a slash
  }

  /// 1 if the byte belongs to the run.
  Bit read(const ByteBits& byte) {
    ByteDecoder decoder(byte);
    const Bit match = matched_.back();
    const Bit first = match & ~seen_;
    twice_ = twice_ | (match ^ first);
    seen_ ^= first;
    const Bit active = run_ ^ first;
    const Bit belongs = decoder.in(run_class_);
    run_ = active & belongs;
    not_empty_ ^= first & belongs;
    const Bit end = active ^ run_;
    closed_ ^= terminator_ ? end & decoder.in(*terminator_) : end;
    escape_ ^= ended_at_backslash_ & decoder.in(goes_on_);
    ended_at_backslash_ = end & decoder.is('\\');
    match_literal(decoder);
    if (characters_) characters_->read(decoder);
    return run_;
  }

  /// At the end of the text.
  CodeSearch finish(const Bits& run) const {
    const Bit twice = twice_ | (matched_.back() & seen_);
    CodeSearch out;
    out.seen = seen_ | matched_.back();
    out.found = not_empty_ & closed_ & ~(twice | escape_);
    if (characters_) out.found = out.found & characters_->unambiguous();
    for (const Bit bit : run) out.run.push_back(bit & out.found);
    return out;
  }

 private:
  void match_literal(ByteDecoder& decoder) {
    for (size_t k = literal_.size(); k-- > 1;) {
      matched_[k] = matched_[k - 1] & decoder.is(literal_[k]);
    }
    matched_[0] = decoder.is(literal_[0]);
    if (characters_) matched_[0] = matched_[0] & characters_->begins_character();
  }

  std::string_view literal_;
  const ByteSet& run_class_;
  std::optional<ByteSet> terminator_;
  std::optional<JsonCharacters> characters_;
  ByteSet goes_on_;  // behind the backslash that ends a run: it may go on
  Bits matched_;     // k: the text so far ends with the first k + 1 bytes of the literal
  Bit seen_, twice_, run_, not_empty_, closed_, ended_at_backslash_, escape_;
};

CodeSearch search(CodeReader& reader, const Text& text) {
  Bits run;
  for (const ByteBits& byte : text) run.push_back(reader.read(byte));
  return reader.finish(run);
}

mpc::Circuit finish_search(mpc::Builder& builder, const CodeSearch& search) {
  builder.add_output("found", mpc::OutputKind::kKeep, {search.found});
  builder.add_output("seen", mpc::OutputKind::kKeep, {search.seen});
  keep_marks(builder, "run", search.run);
  return builder.finish();
}

}  // namespace

CodeSearch code_search(const Text& text, std::string_view literal, const ByteSet& run_class,
                       const std::optional<ByteSet>& terminator) {
  FLEXROOM_ASSERT(!literal.empty() && literal.size() < text.size());
  CodeReader reader(literal, run_class, terminator);
  return search(reader, text);
}

CodeSearch json_code_search(const Text& text, std::string_view literal, const ByteSet& run_class) {
  FLEXROOM_ASSERT(!literal.empty() && literal.size() < text.size());
  FLEXROOM_ASSERT(!run_class['"'] && !run_class['\\']);
  CodeReader reader(literal, run_class, std::nullopt);
  reader.read_characters();
  return search(reader, text);
}

mpc::Circuit code_search_circuit(size_t bytes, std::string_view literal, const ByteSet& run_class,
                                 const std::optional<ByteSet>& terminator) {
  mpc::Builder builder;
  const Text text = add_secret_text(builder, bytes);
  return finish_search(builder, code_search(text, literal, run_class, terminator));
}

mpc::Circuit json_code_search_circuit(size_t bytes, std::string_view literal,
                                      const ByteSet& run_class) {
  mpc::Builder builder;
  const Text text = add_secret_text(builder, bytes);
  return finish_search(builder, json_code_search(text, literal, run_class));
}

mpc::Circuit literal_circuit(size_t bytes, std::string_view literal) {
  mpc::Builder builder;
  // Of a run of no byte all but the literal folds away.
  const CodeSearch search = code_search(add_secret_text(builder, bytes), literal, ByteSet());
  builder.add_output("seen", mpc::OutputKind::kKeep, {search.seen});
  return builder.finish();
}

StatusGate status_gate(const Text& start, const ByteBits& record_type) {
  FLEXROOM_ASSERT(start.size() == 13);
  StatusGate out;
  out.ok = ByteDecoder(record_type).is(23);
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  for (size_t i = 0; i < kVersion.size(); ++i) {
    out.ok = out.ok & ByteDecoder(start[i]).is(kVersion[i]);
  }
  for (size_t i = 9; i < 12; ++i) out.ok = out.ok & is_member(start[i], byte_set("0123456789"));
  out.ok = out.ok & is_member(start[12], byte_set(" \r"));
  for (size_t i = 9; i < 12; ++i) {
    for (size_t bit = 0; bit < 4; ++bit) out.digits.push_back(out.ok & start[i][bit]);
  }
  return out;
}

mpc::Circuit status_circuit() {
  mpc::Builder builder;
  const Text start = add_secret_text(builder, 13);
  const Text type = text_of(builder.add_input("type", mpc::InputKind::kDyn, 8));
  const StatusGate gate = status_gate(start, type[0]);
  builder.add_output("ok", mpc::OutputKind::kOpenAll, {gate.ok});
  builder.add_output("digits", mpc::OutputKind::kOpenAll, gate.digits);
  return builder.finish();
}

}  // namespace flexroom::circuits
