#include "agent/suite.h"

#include <array>

#include "agent/poly1305_tag.h"
#include "base/error.h"
#include "prep/powers.h"
#include "tls/record_layer.h"

namespace flexroom::agent {

namespace {

// A power for each block of the longest record, its header and its lengths; made with the first.
double gcm_tag_bytes(const RequestPlan& plan, bool is_first) {
  return is_first ? prep::power_bytes_to_each_peer(plan.keystream_blocks() + 2) : 0;
}

template <const circuits::HashCircuit& (*kHash)()>
std::shared_ptr<const mpc::Program> hashed_handshake_program(const Groups& groups,
                                                             size_t num_members) {
  return handshake_program(groups, num_members, kHash());
}

template <const circuits::GcmSuite& (*kSuite)(), const circuits::HashCircuit& (*kHash)()>
Suite gcm_suite(const tls::CipherSuite& tls, const AnswerCipher& (*answer)()) {
  return {tls,
          kHash,
          hashed_handshake_program<kHash>,
          [](const RequestPlan& plan, size_t) { return request_program(plan, kSuite()); },
          make_gcm_write_direction,
          [](const RequestPlan& plan, uint64_t sequence, size_t) {
            return later_request_program(plan, sequence, kSuite());
          },
          [](size_t) { return uint64_t{0}; },
          gcm_tag_bytes,
          answer,
          [](size_t) { return client_flight_program(kSuite()); },
          [](const Context& context) { return make_gcm_client_flight(context, kSuite()); },
          [] { return gcm_client_flight_tag_bytes(kSuite()); }};
}

double chacha_tag_bytes(const RequestPlan& plan, bool) {
  double out = 0;
  for (size_t k = 0; k < plan.records(); ++k) {
    out += Poly1305Tag::bytes_to_each_peer(tls::kHeaderSize, plan.inner_bytes(k));
  }
  return out;
}

}  // namespace

uint64_t Suite::client_flight_ands(size_t num_members) const {
  return client_flight_program(num_members)->num_ands() + tag_ands(num_members);
}

const Suite& suite_of(const tls::CipherSuite& suite) {
  static const std::array<Suite, 3> kSuites = {{
      gcm_suite<circuits::aes128_gcm, circuits::sha256_hash>(tls::aes128_gcm_sha256(),
                                                             gcm_answer_cipher),
      {tls::chacha20_poly1305_sha256(), circuits::sha256_hash,
       hashed_handshake_program<circuits::sha256_hash>, chacha_request_program,
       make_chacha_write_direction, chacha_later_request_program, Poly1305Tag::num_ands,
       chacha_tag_bytes, chacha_answer_cipher, chacha_client_flight_program,
       make_chacha_client_flight, chacha_client_flight_tag_bytes},
      gcm_suite<circuits::aes256_gcm, circuits::sha384_hash>(tls::aes256_gcm_sha384(),
                                                             aes256_answer_cipher),
  }};
  for (const Suite& known : kSuites) {
    if (known.tls.code == suite.code) return known;
  }
  throw InputError("`suite` " + std::string(suite.setting), "has no circuits",
                   "use one of " + tls::known_suites());
}

}  // namespace flexroom::agent
