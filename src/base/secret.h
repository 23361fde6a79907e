#pragma once

#include <string_view>

#include "base/bytes.h"

namespace flexroom {

/// Overwrites memory so that the compiler cannot leave it out.
void wipe(void* data, size_t size);
inline void wipe(Bytes& bytes) { wipe(bytes.data(), bytes.size()); }

/// Bytes that are wiped on destruction, cannot be printed, compared with == or copied by accident.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(size_t n) : bytes_(n) {}
  /// Takes the bytes over; the argument is left empty.
  explicit SecretBytes(Bytes&& bytes) : bytes_(std::move(bytes)) { bytes.clear(); }
  static SecretBytes copy_of(ByteView bytes);
  SecretBytes(SecretBytes&&) noexcept = default;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() { wipe(bytes_); }

  SecretBytes clone() const { return copy_of(bytes_); }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  /// The word to grep for: whoever calls it answers for where the bytes go.
  ByteView reveal() const { return bytes_; }
  std::span<uint8_t> writable() { return bytes_; }

 private:
  Bytes bytes_;
};

/// Turns off core dumps and ptrace attachment, for programs that hold secrets. Returns false if the
/// system refused.
bool harden_process();

}  // namespace flexroom
