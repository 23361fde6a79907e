#include "circuits/json_outline.h"

#include "circuits/marks.h"

namespace flexroom::circuits {
namespace {

/// One byte after another.
class JsonReader {
 public:
  void read(const ByteBits& byte, JsonOutline& out) {
    ByteDecoder decoder(byte);
    const Bit quote = decoder.is('"') & ~escaped_;
    const Bit backslash = decoder.is('\\') & ~escaped_;
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
  for (const ByteBits& byte : text) reader.read(byte, out);
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
