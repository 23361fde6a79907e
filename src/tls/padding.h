#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tls/record_layer.h"

namespace flexroom::tls {

/// How long a record of a request is made, so that who sees the line learns less of what it holds
/// (tls-complete.md §8.2): zeros behind the type byte, which every server drops (RFC 8446 §5.4).
enum class Padding : uint8_t {
  kNone,   // as long as it is
  kPadme,  // at most 12 % more (Nikitin et al., PURBs, PETS 2019)
  k256,    // to the next multiple
  k512,
  k1024,
};

/// As `pad` in room.toml says it.
std::string_view to_string(Padding padding);
/// The inverse of to_string(); nothing for another text.
std::optional<Padding> parse_padding(std::string_view text);
/// "none, padme, 256, 512, 1024".
const std::string& known_paddings();

/// Bytes of an inner plaintext (content, type byte, zeros) whose content and type byte are `inner`
/// bytes; `most`, of which `inner` may have no more, is what a record may hold.
size_t padded_bytes(Padding padding, size_t inner, size_t most = kMaxInner);

}  // namespace flexroom::tls
