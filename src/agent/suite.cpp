#include "agent/suite.h"

#include <array>

#include "base/error.h"

namespace flexroom::agent {

const Suite& suite_of(const tls::CipherSuite& suite) {
  static const std::array<Suite, 1> kSuites = {{
      {tls::aes128_gcm_sha256(), handshake_program, request_program, make_gcm_write_direction},
  }};
  for (const Suite& known : kSuites) {
    if (known.tls.code == suite.code) return known;
  }
  throw InputError("`suite` " + std::string(suite.setting), "has no circuits",
                   "use one of " + tls::known_suites());
}

}  // namespace flexroom::agent
