#include "circuits/xml_outline.h"

#include "circuits/marks.h"

namespace flexroom::circuits {

Bits xml_outline(const Text& text) {
  const ByteSet structure = byte_set("<>/!? \t\r\n");
  Bits marks;
  Bit in_tag, in_double, in_single, after_open, dead;
  for (const ByteBits& byte : text) {
    ByteDecoder decoder(byte);
    const Bit unquoted = in_tag & ~(in_double ^ in_single);
    const Bit inside = unquoted & decoder.in(structure);
    const Bit closes = unquoted & decoder.is('>');
    const Bit opens = decoder.is('<') & ~in_tag;
    const Bit double_quote = in_tag & decoder.is('"'), single_quote = in_tag & decoder.is('\'');
    marks.push_back((opens ^ inside) & ~dead);
    dead = dead | (after_open & decoder.is('!'));
    after_open = opens;
    in_double ^= double_quote & ~in_single;
    in_single ^= single_quote & ~in_double;
    in_tag = in_tag ^ opens ^ closes;
  }
  return marks;
}

mpc::Circuit xml_outline_circuit(size_t bytes) {
  mpc::Builder builder;
  keep_marks(builder, "marks", xml_outline(add_secret_text(builder, bytes)));
  return builder.finish();
}

}  // namespace flexroom::circuits
