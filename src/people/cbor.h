#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"

namespace flexroom::people {

/// The part of CBOR (RFC 8949) that authenticators speak (CTAP2): integers, byte and text strings,
/// arrays, maps, true, false, null. Definite lengths, each length and number in its shortest form,
/// keys of a map once; no tags, floats or undefined.
struct Cbor {
  struct Pair;
  using Array = std::vector<Cbor>;
  using Map = std::vector<Pair>;
  static constexpr size_t kMaxBytes = 64 << 10, kMaxItems = 256;
  static constexpr int kMaxDepth = 8;

  /// monostate: null.
  std::variant<std::monostate, bool, int64_t, Bytes, std::string, Array, Map> value;

  bool operator==(const Cbor&) const;
  /// Of a map; nullptr: it has no such key, or this is no map.
  const Cbor* at(int64_t key) const;
  const Cbor* at(std::string_view key) const;
  /// nullptr: it is of another type.
  template <typename T>
  const T* as() const {
    return std::get_if<T>(&value);
  }

  /// One item; what follows is left in `rest`. Throws InputError at `place`.
  static Cbor decode_first(ByteView bytes, ByteView& rest, std::string_view place);
  /// One item and nothing behind it.
  static Cbor decode(ByteView bytes, std::string_view place);
};
struct Cbor::Pair {
  Cbor key, value;
};

}  // namespace flexroom::people
