#include "tls/padding.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/error.h"

namespace flexroom::tls {
namespace {

struct Named {
  Padding padding;
  std::string_view name;
  size_t multiple;
};
constexpr std::array<Named, 5> kAll = {{{Padding::kNone, "none", 1},
                                        {Padding::kPadme, "padme", 0},
                                        {Padding::k256, "256", 256},
                                        {Padding::k512, "512", 512},
                                        {Padding::k1024, "1024", 1024}}};

const Named& of(Padding padding) {
  const auto found = std::find_if(kAll.begin(), kAll.end(),
                                  [&](const Named& one) { return one.padding == padding; });
  FLEXROOM_ASSERT(found != kAll.end());
  return *found;
}

/// The lowest bits of the length that are rounded up: all but as many as the exponent has digits.
size_t padme(size_t bytes) {
  if (bytes < 2) return bytes;
  const auto exponent = static_cast<unsigned>(std::bit_width(bytes) - 1);
  const auto kept = static_cast<unsigned>(std::bit_width(exponent));
  const size_t mask = (size_t{1} << (exponent - std::min(exponent, kept))) - 1;
  return (bytes + mask) & ~mask;
}

}  // namespace

std::string_view to_string(Padding padding) { return of(padding).name; }

std::optional<Padding> parse_padding(std::string_view text) {
  for (const Named& one : kAll) {
    if (text == one.name) return one.padding;
  }
  return std::nullopt;
}

const std::string& known_paddings() {
  static const std::string kText = [] {
    std::string out;
    for (const Named& one : kAll) out += (out.empty() ? "" : ", ") + std::string(one.name);
    return out;
  }();
  return kText;
}

size_t padded_bytes(Padding padding, size_t inner, size_t most) {
  FLEXROOM_ASSERT(inner <= most);
  const size_t multiple = of(padding).multiple;
  const size_t wanted = multiple == 0 ? padme(inner) : (inner + multiple - 1) / multiple * multiple;
  return std::min(wanted, most);
}

}  // namespace flexroom::tls
