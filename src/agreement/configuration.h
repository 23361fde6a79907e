#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "net/identity.h"

namespace flexroom::agreement {

/// mid: a member for life, whatever its name, key or address (members.md 1.1).
using MemberId = std::array<uint8_t, 16>;

/// CONF_g: who is in the room under which keys, and what must be equal at all members. Its bytes
/// stand in the log when it begins to hold; its keys verify what follows there (members.md 1.1,
/// 5.4, Appendix A).
struct Configuration {
  struct Member {
    MemberId id{};
    std::string name;
    net::SigningKey key{};
    Digest certificate{};  // SHA-256 of its TLS certificate
    std::string address;
    bool operator==(const Member&) const = default;
  };
  struct Provider {
    std::string name;
    std::vector<std::string> hosts;
    std::vector<std::string> settings;  // "key=value", sorted
    std::vector<std::string> open_calls;
    bool operator==(const Provider&) const = default;
  };

  static constexpr uint8_t kFormat = 2;
  static constexpr size_t kMaxBytes = 1 << 20;
  static constexpr size_t kMaxMembers = 255, kMaxProviders = 256, kMaxList = 4096, kMaxText = 1024;

  Digest room{};        // rid
  uint32_t number = 0;  // g
  Digest previous{};    // C_{g-1}; zeros for the first one
  std::string name, profile;
  std::vector<Member> members;      // party index = place in this list
  std::vector<MemberId> couriers;   // in order of preference
  std::vector<Provider> providers;  // sorted by name
  std::string quotas;

  bool operator==(const Configuration&) const = default;
  /// Throws InputError beyond the limits.
  Bytes encode() const;
  /// Refuses what encode() would not write. Throws InputError at `place`.
  static Configuration decode(ByteView bytes, std::string_view place);
  /// C_g = RO("conf", CONF_g).
  Digest digest() const;
  /// What an approval is given under: all of it but names, addresses, couriers and its number in
  /// the row, which change no approval (members.md 1.1).
  Digest terms() const;
  std::vector<net::SigningKey> keys() const;
  std::optional<size_t> index_of(const MemberId& id) const;
  /// Equal but for number and previous.
  bool same_content(const Configuration& other) const;
};

/// What a member signs when a configuration begins to hold.
net::Signature sign_configuration(const net::Identity& identity, const Digest& digest);
bool verify_configuration(const net::SigningKey& key, const Digest& digest,
                          const net::Signature& signature);

}  // namespace flexroom::agreement
