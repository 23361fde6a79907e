#include "agent/suite.h"

#include <array>

#include "agent/poly1305_tag.h"
#include "base/error.h"

namespace flexroom::agent {

const Suite& suite_of(const tls::CipherSuite& suite) {
  static const std::array<Suite, 2> kSuites = {{
      {tls::aes128_gcm_sha256(), handshake_program,
       [](const RequestPlan& plan, size_t) { return request_program(plan); },
       make_gcm_write_direction,
       [](const RequestPlan& plan, uint64_t sequence, size_t) {
         return later_request_program(plan, sequence);
       },
       [](size_t) { return uint64_t{0}; }, gcm_answer_cipher},
      {tls::chacha20_poly1305_sha256(), handshake_program, chacha_request_program,
       make_chacha_write_direction, chacha_later_request_program, Poly1305Tag::num_ands,
       chacha_answer_cipher},
  }};
  for (const Suite& known : kSuites) {
    if (known.tls.code == suite.code) return known;
  }
  throw InputError("`suite` " + std::string(suite.setting), "has no circuits",
                   "use one of " + tls::known_suites());
}

}  // namespace flexroom::agent
