#include "base/secret.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

namespace flexroom {

// libc's, because gigabytes of correlated randomness are wiped: it is as fast as memset.
void wipe(void* data, size_t size) {
  if (size != 0) ::explicit_bzero(data, size);
}

SecretBytes SecretBytes::copy_of(ByteView bytes) {
  SecretBytes out;
  out.bytes_.assign(bytes.begin(), bytes.end());
  return out;
}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    wipe(bytes_);
    bytes_ = std::move(other.bytes_);
    other.bytes_.clear();
  }
  return *this;
}

bool harden_process() {
  const rlimit none{0, 0};
  const bool no_core = setrlimit(RLIMIT_CORE, &none) == 0;
  const bool no_dump = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
  return no_core && no_dump;
}

}  // namespace flexroom
