#include <algorithm>

#include "base/base64.h"
#include "http/request_model.h"

namespace flexroom::http {

bool RequestText::is_public() const {
  return std::none_of(pieces.begin(), pieces.end(),
                      [](const Piece& piece) { return piece.slot.has_value(); });
}

std::string RequestText::shown(std::string_view self) const {
  std::string out;
  for (const Piece& piece : pieces) {
    if (!piece.slot) {
      out += piece.text;
    } else {
      out += piece.slot->name == self ? "{{}}" : "{{" + piece.slot->name + "}}";
    }
  }
  return out;
}

bool RequestText::holds(std::string_view slot) const {
  return std::any_of(pieces.begin(), pieces.end(),
                     [&](const Piece& piece) { return piece.slot && piece.slot->name == slot; });
}

void RequestText::add(char c) {
  if (pieces.empty() || pieces.back().slot) pieces.emplace_back();
  pieces.back().text.push_back(c);
}

void RequestText::add(const Slot& slot, Encoding encoding) {
  pieces.push_back({"", slot, encoding});
}

std::optional<RequestText> base64_decoded(const RequestText& text) {
  if (text.in_base64) {
    RequestText out = text;
    out.in_base64 = false;
    return out;
  }
  RequestText out;
  out.at = text.at;
  for (size_t k = 0; k < text.pieces.size(); ++k) {
    const RequestText::Piece& piece = text.pieces[k];
    const bool last = k + 1 == text.pieces.size();
    if (piece.slot) {
      if (piece.encoding != Encoding::kBase64 || (!last && piece.slot->length % 3 != 0)) {
        return std::nullopt;
      }
      out.add(*piece.slot, Encoding::kNone);
      continue;
    }
    const auto decoded = base64_decode(piece.text);
    if (!decoded || (!last && piece.text.ends_with('='))) return std::nullopt;
    for (const uint8_t c : *decoded) out.add(static_cast<char>(c));
  }
  return out;
}

}  // namespace flexroom::http
