#pragma once

#include <bitset>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"

namespace flexroom::support {

/// Looks for bytes that must not leave a member, in every form in which they could travel: as they
/// are, with the bits of each byte reversed, a byte a bit, in hex, percent-encoded, and in base64
/// at each alignment. One pass over the data for all of them.
class Canaries {
 public:
  void add(const std::string& what, ByteView bytes) {
    const std::string raw = to_text(bytes);
    std::string reversed, bits, bits_reversed, hex, percent, upper_hex, upper_percent;
    for (const char c : raw) {
      const auto byte = static_cast<uint8_t>(c);
      uint8_t mirrored = 0;
      for (int b = 0; b < 8; ++b) {
        bits.push_back(static_cast<char>(byte >> b & 1));
        bits_reversed.push_back(static_cast<char>(byte >> (7 - b) & 1));
        mirrored = static_cast<uint8_t>(mirrored | (byte >> b & 1) << (7 - b));
      }
      reversed.push_back(static_cast<char>(mirrored));
      for (const bool upper : {false, true}) {
        const char* digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
        const std::string two{digits[byte >> 4], digits[byte & 15]};
        (upper ? upper_hex : hex) += two;
        (upper ? upper_percent : percent) += "%" + two;
      }
    }
    for (std::string* form :
         {&reversed, &bits, &bits_reversed, &hex, &upper_hex, &percent, &upper_percent}) {
      add_form(what, std::move(*form));
    }
    add_form(what, raw);
    add_form(what, url_encoded(raw));
    for (size_t shift = 0; shift < 3; ++shift) {
      for (const bool url : {false, true}) {
        const std::string text = base64(std::string(shift, '\0') + raw, url);
        // Characters that depend on the neighbours are cut off at both ends.
        const size_t start = (8 * shift + 5) / 6;
        add_form(what, text.substr(start, (8 * (shift + raw.size())) / 6 - start));
      }
    }
  }

  /// Names one that is in there.
  std::optional<std::string> find(ByteView data) const {
    for (size_t at = 0; at + 2 <= data.size(); ++at) {
      const size_t start = start_of(data[at], data[at + 1]);
      if (!(*starts_)[start]) continue;
      for (const Form& form : forms_.at(start)) {
        if (form.bytes.size() <= data.size() - at &&
            std::equal(form.bytes.begin(), form.bytes.end(),
                       reinterpret_cast<const char*>(data.data()) + at)) {
          return form.what;
        }
      }
    }
    return std::nullopt;
  }

 private:
  struct Form {
    std::string what, bytes;
  };
  static size_t start_of(uint8_t a, uint8_t b) { return size_t{a} << 8 | b; }
  void add_form(const std::string& what, std::string bytes) {
    if (bytes.size() < 12) return;  // would be found by chance
    const size_t start = start_of(static_cast<uint8_t>(bytes[0]), static_cast<uint8_t>(bytes[1]));
    starts_->set(start);
    forms_[start].push_back({what, std::move(bytes)});
  }
  static std::string url_encoded(const std::string& raw) {
    std::string out;
    for (const char c : raw) {
      const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                         (c >= 'A' && c <= 'Z') ||
                         std::string_view("-_.~").find(c) != std::string_view::npos;
      const auto byte = static_cast<uint8_t>(c);
      if (plain) {
        out.push_back(c);
      } else {
        out += std::string{'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]};
      }
    }
    return out;
  }
  static std::string base64(const std::string& raw, bool url) {
    const std::string alphabet =
        std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") +
        (url ? "-_" : "+/");
    std::string out;
    for (size_t bit = 0; bit < 8 * raw.size(); bit += 6) {
      unsigned value = 0;
      for (size_t k = bit; k < bit + 6; ++k) {
        const unsigned next =
            k / 8 < raw.size() ? static_cast<uint8_t>(raw[k / 8]) >> (7 - k % 8) & 1u : 0u;
        value = value << 1 | next;
      }
      out.push_back(alphabet[value]);
    }
    return out;
  }

  std::unordered_map<size_t, std::vector<Form>> forms_;  // by their first two bytes
  std::shared_ptr<std::bitset<65536>> starts_ = std::make_shared<std::bitset<65536>>();
};

}  // namespace flexroom::support
