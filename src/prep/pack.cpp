#include "prep/pack.h"

#include "prep/open.h"

namespace flexroom::prep {

AuthBits unpack(net::Party& party, Source& source, const AuthField& field, std::string_view label) {
  AuthBits rho = source.random_bits(128 * field.size());
  AuthField masked = pack(rho);
  add(masked, field);
  const std::vector<Block> opened = open_field(party, source.delta(), masked, label);
  std::vector<uint8_t> constants(rho.size());
  for (size_t t = 0; t < rho.size(); ++t) {
    constants[t] = opened[t / 128].bit(static_cast<unsigned>(t % 128)) ? 1 : 0;
  }
  add_constants(rho, constants, source.delta());
  return rho;
}

}  // namespace flexroom::prep
