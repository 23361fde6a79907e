#include "circuits/json_outline.h"

#include "base/error.h"
#include "circuits/marks.h"

namespace flexroom::circuits {
namespace {

/// One byte after another; `started` says that the text has begun before this byte.
class JsonReader {
 public:
  void read(const ByteBits& byte, Bit started, JsonOutline& out) {
    ByteDecoder decoder(byte);
    const Bit counts = started & ~escaped_;
    const Bit quote = decoder.is('"') & counts;
    const Bit backslash = decoder.is('\\') & counts;
    out.marks.push_back(quote ^ (decoder.in(byte_set("{}[],: \t\r\n")) & ~in_string_));
    // An opening quote sets it to 0, a backslash to 1.
    const Bit opening = quote & ~in_string_;
    has_escape_ ^= (opening ^ backslash) & (has_escape_ ^ backslash);
    out.escapes.push_back(has_escape_);
    in_string_ ^= quote;
    escaped_ = backslash;
  }

 private:
  Bit in_string_, escaped_, has_escape_;
};

}  // namespace

JsonOutline json_outline(const Text& text) {
  JsonOutline out;
  JsonReader reader;
  for (const ByteBits& byte : text) reader.read(byte, Bit(true), out);
  return out;
}

JsonOutline json_outline_behind(const HeaderOutline& header, const Text& window) {
  FLEXROOM_ASSERT(header.ends.size() == window.size());
  JsonOutline out;
  JsonReader reader;
  Bit started;
  for (size_t i = 0; i < window.size(); ++i) {
    reader.read(window[i], started, out);
    started ^= header.ends[i];
  }
  return out;
}

mpc::Circuit json_outline_circuit(size_t bytes) {
  mpc::Builder builder;
  const JsonOutline outline = json_outline(add_secret_text(builder, bytes));
  keep_marks(builder, "marks", outline.marks);
  keep_marks(builder, "escapes", outline.escapes);
  return builder.finish();
}

}  // namespace flexroom::circuits
