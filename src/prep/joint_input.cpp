#include "prep/joint_input.h"

#include "base/error.h"
#include "prep/open.h"

namespace flexroom::prep {
namespace {

/// One byte a bit; gone with the object.
struct OwnBits {
  OwnBits(ByteView bytes, size_t count) : bits(count) {
    for (size_t t = 0; t < count; ++t) bits[t] = static_cast<uint8_t>(bytes[t / 8] >> (t % 8) & 1);
  }
  OwnBits(const OwnBits&) = delete;
  OwnBits& operator=(const OwnBits&) = delete;
  ~OwnBits() { wipe(bits.data(), bits.size()); }

  std::vector<uint8_t> bits;
};

}  // namespace

AuthBits joint_input(net::Party& party, Source& source, const std::vector<bool>& gives,
                     ByteView own, size_t count, std::string_view label) {
  const PartyId self = party.id();
  const size_t given = gives.at(self) ? count : 0;
  FLEXROOM_ASSERT(gives.size() == party.num_parties() && 8 * own.size() >= given);
  const OwnBits mine(own, given);
  AuthBits sum(self, party.num_parties(), count);
  for (PartyId i = 0; i < party.num_parties(); ++i) {
    if (!gives[i]) continue;
    sum.add(source.owned_bits_of(
        i, count, i == self ? std::span<const uint8_t>(mine.bits) : std::span<const uint8_t>()));
  }
  AuthBits out = source.random_bits(count);
  sum.add(out);
  const std::vector<uint8_t> opened = open_bits(party, source.delta(), sum, label);
  add_constants(out, opened, source.delta());
  return out;
}

}  // namespace flexroom::prep
