#include "circuits/text.h"

#include <map>

#include "base/error.h"

namespace flexroom::circuits {

Bit ByteDecoder::in(const ByteSet& set) {
  for (const auto& [known, bit] : made_) {
    if (known == set) return bit;
  }
  made_.emplace_back(set, make(set));
  return made_.back().second;
}

Bit ByteDecoder::is(char c) { return in(ByteSet().set(static_cast<uint8_t>(c))); }

Bit ByteDecoder::make(const ByteSet& set) {
  if (set.count() > 128) return ~in(~set);
  // High nibbles with the same set of low nibbles share one AND.
  std::map<uint32_t, uint32_t> highs_by_lows;
  for (size_t high = 0; high < 16; ++high) {
    uint32_t lows = 0;
    for (size_t low = 0; low < 16; ++low) lows |= uint32_t{set[16 * high + low]} << low;
    if (lows != 0) highs_by_lows[lows] |= 1u << high;
  }
  Bit out;
  for (const auto& [lows, highs] : highs_by_lows) {
    out ^= nibble_in(1, highs) & nibble_in(0, lows);
  }
  return out;
}

Bit ByteDecoder::nibble_in(size_t nibble, uint32_t set) {
  if (__builtin_popcount(set) > 8) return ~nibble_in(nibble, ~set & 0xffff);
  Bit out;
  for (size_t high = 0; high < 4; ++high) out ^= pairs_in(nibble, high, set >> (4 * high) & 0xf);
  return out;
}

/// High pair is `high` and the low pair is in `lows`: at most one AND, none if it follows from
/// what was made before.
Bit ByteDecoder::pairs_in(size_t nibble, size_t high, uint32_t lows) {
  auto& made = products_[nibble][high];
  if (lows == 0) return {};
  const Bit pair_is_high = pair(2 * nibble + 1)[high];
  if (lows == 0xf) return pair_is_high;
  for (uint32_t other = 1; other < 15; ++other) {
    if (!made[other]) continue;
    if (other == lows) return *made[other];
    if (other == (lows ^ 0xf)) return pair_is_high ^ *made[other];
    if (made[other ^ lows]) return *made[other] ^ *made[other ^ lows];
  }
  Bit any;
  for (size_t low = 0; low < 4; ++low) {
    if ((lows >> low & 1) != 0) any ^= pair(2 * nibble)[low];
  }
  made[lows] = pair_is_high & any;
  return *made[lows];
}

const std::array<Bit, 4>& ByteDecoder::pair(size_t index) {
  auto& cached = pairs_[index];
  if (!cached) {
    const Bit x = byte_[2 * index + 1], y = byte_[2 * index], both = x & y;
    cached = {~(x ^ y ^ both), y ^ both, x ^ both, both};
  }
  return *cached;
}

namespace {

Text escape(const Text& in, std::string_view before, std::string_view after,
            ByteBits (*digit)(std::span<const Bit>) = hex_digit_upper) {
  Text out;
  for (const ByteBits& byte : in) {
    append(out, as_bytes(before));
    out.push_back(digit(std::span(byte).subspan(4, 4)));
    out.push_back(digit(std::span(byte).first(4)));
    append(out, as_bytes(after));
  }
  return out;
}

}  // namespace

ByteSet byte_set(std::string_view members) {
  ByteSet set;
  for (const char c : members) set.set(static_cast<uint8_t>(c));
  return set;
}

ByteBits hex_digit_lower(std::span<const Bit> nibble) {
  FLEXROOM_ASSERT(nibble.size() == 4);
  const Bit v0 = nibble[0], v1 = nibble[1], v2 = nibble[2], v3 = nibble[3];
  // Digits are 0x30 + v; letters (v >= 10) are 0x60 + (v - 9), and v - 9 = v + 7 mod 16 differs
  // from v in bits 0 and 3 always, in bit 1 when v is even, in bit 2 when v = 12 only.
  const Bit letter = v3 & (v2 | v1);
  const Bit even = letter & ~v0;
  const Bit twelve = even & ~v1;
  return {v0 ^ letter, v1 ^ even, v2 ^ twelve, v3 ^ letter, ~letter, Bit(true), letter, Bit()};
}

ByteBits hex_digit_upper(std::span<const Bit> nibble) {
  ByteBits out = hex_digit_lower(nibble);
  out[5] = ~out[6];  // letters 0x41.., digits 0x30..
  return out;
}

Text hex_lower(const Text& in) {
  Text out;
  for (const ByteBits& byte : in) {
    out.push_back(hex_digit_lower(std::span(byte).subspan(4, 4)));
    out.push_back(hex_digit_lower(std::span(byte).first(4)));
  }
  return out;
}

Text percent_encode(const Text& in) { return escape(in, "%", ""); }
Text json_escape(const Text& in) { return escape(in, "\\u00", "", hex_digit_lower); }
Text xml_escape(const Text& in) { return escape(in, "&#x", ";"); }

namespace {

/// The character of a 6-bit value whose 62 and 63 are these offsets (mod 256) to the value.
ByteBits sextet_char(std::span<const Bit> value, uint8_t offset_of_62, uint8_t offset_of_63) {
  FLEXROOM_ASSERT(value.size() == 6);
  const Bit v0 = value[0], v1 = value[1], v2 = value[2], v3 = value[3], v4 = value[4];
  const Bit v5 = value[5];
  const Bit v54 = v5 & v4, v32 = v3 & v2, any32 = v3 ^ v2 ^ v32;
  const Bit ge26 = v5 | (v4 & v3 & (v2 | v1));
  const Bit ge52 = v54 & any32;
  const Bit ge62 = v54 & v32 & v1;
  const Bit is63 = ge62 & v0;
  // Offsets mod 256 to A-Z, a-z, 0-9 and the last two.
  const std::array<uint8_t, 5> offsets = {65, 71, 252, offset_of_62, offset_of_63};
  const std::array<Bit, 5> ranges = {~ge26, ge26 ^ ge52, ge52 ^ ge62, ge62 ^ is63, is63};
  const ByteBits in = {v0, v1, v2, v3, v4, v5, Bit(), Bit()};
  ByteBits out;
  Bit carry;
  for (size_t b = 0; b < 8; ++b) {
    Bit offset;
    for (size_t r = 0; r < 5; ++r) {
      if (((offsets[r] >> b) & 1) != 0) offset ^= ranges[r];
    }
    const Bit with_carry = in[b] ^ carry;
    out[b] = with_carry ^ offset;
    if (b < 7) carry ^= with_carry & (offset ^ carry);
  }
  out[7] = Bit();  // ASCII
  return out;
}

}  // namespace

ByteBits base64_char(std::span<const Bit> value) { return sextet_char(value, 237, 240); }
ByteBits base64url_char(std::span<const Bit> value) { return sextet_char(value, 239, 32); }

namespace {

Text in_groups_of_three(const Text& in, ByteBits (*character)(std::span<const Bit>), bool padded) {
  Text out;
  for (size_t i = 0; i < in.size(); i += 3) {
    const size_t bytes = std::min<size_t>(3, in.size() - i);
    std::array<Bit, 24> group;  // bit 23 comes first
    for (size_t k = 0; k < bytes; ++k) {
      for (size_t b = 0; b < 8; ++b) group[16 - 8 * k + b] = in[i + k][b];
    }
    for (size_t k = 0; k < 4; ++k) {
      if (k <= bytes) {
        out.push_back(character(std::span(group).subspan(18 - 6 * k, 6)));
      } else if (padded) {
        out.push_back(constant_byte('='));
      }
    }
  }
  return out;
}

}  // namespace

Text base64(const Text& in) { return in_groups_of_three(in, base64_char, true); }
Text base64url(const Text& in) { return in_groups_of_three(in, base64url_char, false); }

Bit is_member(const ByteBits& byte, const ByteSet& set) { return ByteDecoder(byte).in(set); }

Bit all_members(const Text& text, const ByteSet& set) {
  Bits ok;
  for (const ByteBits& byte : text) ok.push_back(is_member(byte, set));
  while (ok.size() > 1) {  // a tree, so that the ANDs are independent
    Bits next;
    for (size_t i = 0; i + 1 < ok.size(); i += 2) next.push_back(ok[i] & ok[i + 1]);
    if (ok.size() % 2 == 1) next.push_back(ok.back());
    ok = std::move(next);
  }
  return ok.empty() ? Bit(true) : ok[0];
}

}  // namespace flexroom::circuits
