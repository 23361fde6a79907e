#include <gtest/gtest.h>

#include "base/aes.h"
#include "boolean/engine.h"
#include "circuits/aes128.h"
#include "circuits/sha256.h"
#include "support/dealer.h"
#include "support/parties.h"

// The circuits of circuits/ through the garbling engine, against implementations in the clear.

namespace flexroom {
namespace {

using mpc::InputKind;
using mpc::OutputKind;

std::vector<uint8_t> bits_of_bytes(ByteView bytes) {
  std::vector<uint8_t> bits;
  for (const uint8_t byte : bytes) {
    for (unsigned b = 0; b < 8; ++b) bits.push_back((byte >> b) & 1);
  }
  return bits;
}

Bytes bytes_of_bits(const std::vector<uint8_t>& bits) {
  Bytes out(bits.size() / 8);
  for (size_t t = 0; t < bits.size(); ++t) {
    out[t / 8] = static_cast<uint8_t>(out[t / 8] | bits[t] << (t % 8));
  }
  return out;
}

/// Group 0 is a kDyn value, group 1 party 0's private one; one opened output, the same everywhere.
Bytes run_garbled(size_t n, mpc::Builder& builder, ByteView shared, ByteView priv) {
  const auto program = std::make_shared<mpc::Program>(mpc::compile(builder.finish()));
  support::Dealer dealer(n);
  const auto run = support::run_parties(n, [&](net::Party& party) {
    boolean::Engine engine(party, dealer.source(party.id()));
    const auto instance = engine.prepare(program, {}, "circuit");
    const prep::AuthBits dyn = dealer.share_bits(party.id(), 0, bits_of_bytes(shared));
    boolean::OnlineInputs inputs;
    inputs.dyn = {&dyn};
    if (party.id() == 0) inputs.priv = {{}, bits_of_bytes(priv)};
    const auto outputs = engine.run(*instance, inputs);
    engine.confirm(*instance);
    return bytes_of_bits(outputs.opened.at(0));
  });
  for (const auto& outcome : run.outcomes) {
    EXPECT_TRUE(outcome.value.has_value());
    EXPECT_EQ(outcome.value, run.outcomes[0].value);
  }
  return run.outcomes[0].value.value_or(Bytes());
}

class GarbledCircuits : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Parties, GarbledCircuits, ::testing::Values(2, 3));

TEST_P(GarbledCircuits, Sha256) {
  Bytes message(100);
  for (size_t i = 0; i < message.size(); ++i) message[i] = static_cast<uint8_t>(7 * i + 1);
  mpc::Builder builder;
  circuits::Text text = circuits::text_of(builder.add_input("shared", InputKind::kDyn, 480));
  circuits::append(text, circuits::text_of(builder.add_input("own", InputKind::kPriv, 320, 0)));
  const auto state = circuits::sha256_finish(circuits::sha256_initial(), 0, text);
  builder.add_output("digest", OutputKind::kOpenAll, circuits::bits_of(circuits::text_of(state)));
  const Digest expected = sha256(message);
  EXPECT_EQ(
      run_garbled(GetParam(), builder, ByteView(message).first(60), ByteView(message).subspan(60)),
      Bytes(expected.begin(), expected.end()));
}

TEST_P(GarbledCircuits, Aes128) {
  const Bytes key = from_hex("2b7e151628aed2a6abf7158809cf4f3c");
  const Bytes in = from_hex("3243f6a8885a308d313198a2e0370734");
  mpc::Builder builder;
  const auto keys = circuits::aes128_expand_key(
      circuits::block_of(circuits::text_of(builder.add_input("key", InputKind::kDyn, 128))));
  const auto block =
      circuits::block_of(circuits::text_of(builder.add_input("in", InputKind::kPriv, 128, 0)));
  builder.add_output("out", OutputKind::kOpenAll,
                     circuits::bits_of(circuits::text_of(circuits::aes128_encrypt(keys, block))));
  // FIPS 197 appendix B.
  EXPECT_EQ(to_hex(run_garbled(GetParam(), builder, key, in)), "3925841d02dc09fbdc118597196a0b32");
}

}  // namespace
}  // namespace flexroom
