#include "agent/suite.h"

#include <array>

#include "base/error.h"

namespace flexroom::agent {

namespace {

std::shared_ptr<const mpc::Program> handshake_program(arith::Group group, size_t num_members) {
  return std::make_shared<const mpc::Program>(mpc::compile(handshake_circuit(group, num_members)));
}

}  // namespace

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
