#include "circuits/client_flight.h"

#include "circuits/chacha_records.h"

namespace flexroom::circuits {
namespace {

using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;

constexpr uint8_t kHandshake = 22;  // content type
constexpr uint8_t kFinished = 20;   // handshake type

struct FlightKeys {
  HmacKeyText c_hs;
  Text verify_data;
};

/// finished_key and verify_data of RFC 8446 §4.4.4. The inner hash's message is known only online.
FlightKeys flight_keys(Builder& builder, const HashCircuit& hash) {
  const auto digest_bytes = static_cast<uint16_t>(hash.digest_bytes);
  const Bits c_hs =
      builder.add_input("c_hs", InputKind::kDyn, static_cast<uint32_t>(8 * hash.digest_bytes));
  const Bits words = add_round_words(builder, "kw_finished", hash);
  FlightKeys out;
  out.c_hs = hmac_key(hash, text_of(c_hs));
  const Text label = constant_text(hkdf_label_message("finished", {}, digest_bytes));
  const HmacKeyText finished = hmac_key(hash, hmac(hash, out.c_hs, label));
  out.verify_data = hmac_outer(hash, finished.outer, hmac_outer_pub(hash, finished.inner, words));
  builder.add_output("verify_data", OutputKind::kOpenAll, bits_of(out.verify_data));
  return out;
}

/// Certificate, Finished and the content type.
Text inner_plaintext(const Text& verify_data, const HashCircuit& hash) {
  Text out = constant_text(kEmptyCertificate);
  const Text header = constant_text(
      std::array<uint8_t, 4>{kFinished, 0, 0, static_cast<uint8_t>(hash.digest_bytes)});
  out.insert(out.end(), header.begin(), header.end());
  out.insert(out.end(), verify_data.begin(), verify_data.end());
  FLEXROOM_ASSERT(out.size() == client_flight_bytes(hash));
  out.push_back(constant_byte(kHandshake));
  return out;
}

}  // namespace

mpc::Circuit gc_cf(const GcmSuite& suite) {
  Builder builder;
  const FlightKeys secrets = flight_keys(builder, suite.hash);
  const Bits r_h = builder.add_input("r_h", InputKind::kZero, 128);
  const TrafficKeys keys = traffic_keys(secrets.c_hs, suite);

  Bits d_h = bits_of(text_of(aes_encrypt(keys.round_keys, constant_block({}))));
  for (size_t i = 0; i < d_h.size(); ++i) d_h[i] ^= r_h[i];
  builder.add_output("d_h", OutputKind::kOpenAll, d_h);
  builder.add_output("j0", OutputKind::kKeep, bits_of(text_of(keystream_block(keys, 0, 1))));

  Text text = inner_plaintext(secrets.verify_data, suite.hash);
  for (size_t k = 0; k < text.size(); k += 16) {
    const auto counter = static_cast<uint32_t>(2 + k / 16);  // 1 is J0
    const AesBlock keystream = keystream_block(keys, 0, counter);
    for (size_t t = k; t < std::min(k + 16, text.size()); ++t) {
      for (size_t b = 0; b < 8; ++b) text[t][b] ^= keystream[t - k][b];
    }
  }
  builder.add_output("c", OutputKind::kOpenAll, bits_of(text));
  return builder.finish();
}

mpc::Circuit chacha_gc_cf(size_t num_parties) {
  Builder builder;
  const FlightKeys secrets = flight_keys(builder, sha256_hash());
  ChaChaRecordWriter records(builder, chacha_traffic_keys(secrets.c_hs), num_parties);
  records.add_message(0, inner_plaintext(secrets.verify_data, sha256_hash()));
  return builder.finish();
}

}  // namespace flexroom::circuits
