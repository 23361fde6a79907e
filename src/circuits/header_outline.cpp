#include "circuits/header_outline.h"

#include "circuits/marks.h"

namespace flexroom::circuits {
namespace {

/// The automaton of one byte after another; letters as in tls-in-mpc.md §5.4.
class HeaderReader {
 public:
  void read(const ByteBits& byte, HeaderOutline& out) {
    ByteDecoder decoder(byte);
    const Bit cr = decoder.is('\r'), lf = decoder.is('\n');
    const Bit line_end = after_cr_ & lf;
    const Bit ends = after_crlfcr_ & lf & ~ended_;
    const Bit colon = in_name_ & decoder.is(':');
    const Bit semicolon = in_value_ & decoder.is(';');
    const Bit equals = before_equals_ & decoder.is('=');
    const Bit blank = after_break_ & decoder.in(byte_set(" \t"));
    const Bit no_name = in_name_ & cr;
    const Bit in_name_bad = in_name_ & decoder.in(not_in_a_name());
    const Bit fault = after_cr_ ^ lf ^ in_name_bad ^ (no_name & ~after_crlf_);
    bad_ = bad_ | (fault & ~ended_);

    out.line_ends.push_back(~ended_ & line_end);
    out.colons.push_back(~ended_ & colon);
    out.details.push_back(~ended_ & (equals ^ semicolon ^ blank));
    out.ends.push_back(ends);
    out.bad.push_back(bad_);

    in_name_ = in_name_ ^ colon ^ no_name ^ line_end;
    const Bit reopened = semicolon & ~before_equals_;
    before_equals_ = before_equals_ ^ equals ^ (before_equals_ & cr) ^ colon ^ reopened;
    in_value_ = in_value_ ^ (in_value_ & cr) ^ colon;
    after_break_ = colon ^ semicolon ^ equals ^ blank;
    after_crlfcr_ = after_crlf_ & cr;
    after_cr_ = cr;
    after_crlf_ = line_end;
    ended_ ^= ends;
  }

 private:
  /// Up to the blank, but CR and LF, which have rules of their own.
  static const ByteSet& not_in_a_name() {
    static const ByteSet set = [] {
      ByteSet out;
      for (size_t c = 0; c <= 0x20; ++c) out[c] = c != '\r' && c != '\n';
      return out;
    }();
    return set;
  }

  Bit after_cr_, after_crlf_, after_crlfcr_, ended_, bad_;
  Bit in_name_;        // N
  Bit in_value_;       // V
  Bit before_equals_;  // W: of a piece of a value, no '=' yet
  Bit after_break_;    // L: only blanks since ':', ';' or that '='
};

}  // namespace

HeaderOutline header_outline(const Text& window) {
  HeaderOutline out;
  HeaderReader reader;
  for (const ByteBits& byte : window) reader.read(byte, out);
  return out;
}

mpc::Circuit header_outline_circuit(size_t bytes) {
  mpc::Builder builder;
  const HeaderOutline outline = header_outline(add_secret_text(builder, bytes));
  keep_marks(builder, "line_ends", outline.line_ends);
  keep_marks(builder, "colons", outline.colons);
  keep_marks(builder, "details", outline.details);
  keep_marks(builder, "ends", outline.ends);
  keep_marks(builder, "bad", outline.bad);
  return builder.finish();
}

}  // namespace flexroom::circuits
