#include "agreement/words.h"

#include <fmt/core.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "agreement/word_list.h"
#include "base/error.h"

namespace flexroom::agreement {
namespace {

constexpr size_t kWords = 2048, kBitsPerWord = 11;
constexpr unsigned long long kPasses = 8;
constexpr size_t kMemoryBytes = size_t{128} << 20;
constexpr std::string_view kSalt = "flexroom/words/1";
static_assert(kSalt.size() == crypto_pwhash_SALTBYTES);

std::array<std::string_view, kWords> split_list() {
  std::array<std::string_view, kWords> out{};
  std::string_view rest = kWordList;
  for (std::string_view& word : out) {
    const size_t end = std::min(rest.find(' '), rest.size());
    word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

}  // namespace

std::string words(ByteView x, size_t count) {
  FLEXROOM_ASSERT(count >= 1 && count <= kProposalWords);
  FLEXROOM_ASSERT(sodium_init() >= 0);
  std::array<uint8_t, 16> stretched{};
  const int result =
      crypto_pwhash(stretched.data(), stretched.size(), reinterpret_cast<const char*>(x.data()),
                    x.size(), reinterpret_cast<const unsigned char*>(kSalt.data()), kPasses,
                    kMemoryBytes, crypto_pwhash_ALG_ARGON2ID13);
  if (result != 0) {
    throw InputError(
        "words",
        fmt::format("argon2id needs {} MiB of memory, which cannot be had", kMemoryBytes >> 20),
        "free some memory and run the same command again; nothing was changed");
  }
  static const std::array<std::string_view, kWords> list = split_list();
  std::string out;
  for (size_t w = 0; w < count; ++w) {
    size_t index = 0;
    for (size_t bit = w * kBitsPerWord; bit < (w + 1) * kBitsPerWord; ++bit) {
      index = index << 1 | (stretched[bit / 8] >> (7 - bit % 8) & 1);
    }
    if (!out.empty()) out += ' ';
    out += list[index];
  }
  return out;
}

}  // namespace flexroom::agreement
