#include "people/cbor.h"

#include <algorithm>

#include "base/error.h"

namespace flexroom::people {
namespace {

class Decoder {
 public:
  Decoder(ByteView in, std::string_view place) : in_(in), place_(place) {}
  ByteView rest() const { return in_; }

  Cbor item(int depth) {
    if (depth > Cbor::kMaxDepth || ++items_ > Cbor::kMaxItems)
      fail("is nested or long beyond reason");
    const uint8_t head = take(1)[0];
    const unsigned major = head >> 5;
    const uint8_t info = head & 0x1f;
    if (major == 7) return simple(info);
    const uint64_t n = argument(info);
    Cbor out;
    switch (major) {
      case 0:
      case 1:
        if (n > INT64_MAX) fail("has a number beyond 63 bits");
        out.value = major == 0 ? static_cast<int64_t>(n) : -1 - static_cast<int64_t>(n);
        return out;
      case 2: {
        const ByteView bytes = take(n);
        out.value = Bytes(bytes.begin(), bytes.end());
        return out;
      }
      case 3:
        out.value = to_text(take(n));
        return out;
      case 4: {
        Cbor::Array list;
        for (uint64_t i = 0; i < n; ++i) list.push_back(item(depth + 1));
        out.value = std::move(list);
        return out;
      }
      case 5:
        out.value = map(n, depth);
        return out;
      default:
        fail("has a tag");
    }
  }

 private:
  [[noreturn]] void fail(std::string_view problem) const {
    throw InputError(place_, "is no CBOR of an authenticator: " + std::string(problem));
  }
  ByteView take(uint64_t n) {
    if (n > in_.size()) fail("ends too early");
    const ByteView out = in_.first(n);
    in_ = in_.subspan(n);
    return out;
  }
  // In its shortest form, of a definite length.
  uint64_t argument(uint8_t info) {
    if (info < 24) return info;
    if (info > 27) fail("has an indefinite length");
    const size_t bytes = size_t{1} << (info - 24);
    uint64_t out = 0;
    for (const uint8_t byte : take(bytes)) out = out << 8 | byte;
    static constexpr uint64_t kLeast[] = {24, 0x100, 0x1'0000, 0x1'0000'0000};
    if (out < kLeast[info - 24]) fail("has a number that is not in its shortest form");
    return out;
  }
  Cbor simple(uint8_t info) {
    Cbor out;
    if (info == 20 || info == 21) {
      out.value = info == 21;
    } else if (info != 22) {
      fail("has a float, undefined or a break");
    }
    return out;
  }
  Cbor::Map map(uint64_t n, int depth) {
    Cbor::Map out;
    for (uint64_t i = 0; i < n; ++i) {
      Cbor key = item(depth + 1);
      if (key.as<int64_t>() == nullptr && key.as<std::string>() == nullptr) {
        fail("has a key that is neither a number nor a text");
      }
      for (const Cbor::Pair& other : out) {
        if (other.key == key) fail("has a key twice");
      }
      out.push_back({std::move(key), item(depth + 1)});
    }
    return out;
  }

  ByteView in_;
  std::string_view place_;
  size_t items_ = 0;
};

template <typename T>
const Cbor* find(const Cbor& map, const T& key) {
  const auto* const pairs = map.as<Cbor::Map>();
  if (pairs == nullptr) return nullptr;
  for (const Cbor::Pair& pair : *pairs) {
    const T* const here = pair.key.as<T>();
    if (here != nullptr && *here == key) return &pair.value;
  }
  return nullptr;
}

}  // namespace

bool Cbor::operator==(const Cbor& other) const {
  if (value.index() != other.value.index()) return false;
  if (const auto* const map = as<Map>()) {
    const auto& theirs = *other.as<Map>();
    return std::equal(
        map->begin(), map->end(), theirs.begin(), theirs.end(),
        [](const Pair& a, const Pair& b) { return a.key == b.key && a.value == b.value; });
  }
  if (const auto* const list = as<Array>()) return *list == *other.as<Array>();
  if (const auto* const number = as<int64_t>()) return *number == *other.as<int64_t>();
  if (const auto* const text = as<std::string>()) return *text == *other.as<std::string>();
  if (const auto* const bytes = as<Bytes>()) return *bytes == *other.as<Bytes>();
  if (const auto* const flag = as<bool>()) return *flag == *other.as<bool>();
  return true;
}

const Cbor* Cbor::at(int64_t key) const { return find(*this, key); }
const Cbor* Cbor::at(std::string_view key) const { return find(*this, std::string(key)); }

Cbor Cbor::decode_first(ByteView bytes, ByteView& rest, std::string_view place) {
  if (bytes.size() > kMaxBytes) throw InputError(place, "is longer than 64 KiB");
  Decoder decoder(bytes, place);
  Cbor out = decoder.item(0);
  rest = decoder.rest();
  return out;
}

Cbor Cbor::decode(ByteView bytes, std::string_view place) {
  ByteView rest;
  Cbor out = decode_first(bytes, rest, place);
  if (!rest.empty()) throw InputError(place, "has bytes behind its end");
  return out;
}

}  // namespace flexroom::people
