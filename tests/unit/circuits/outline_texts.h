#pragma once

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "http/outline.h"
#include "support/circuit_batch.h"

namespace flexroom::circuits {

/// Random texts for the sweeps of the outlines.
class RandomText {
 public:
  explicit RandomText(uint32_t seed) : random_(seed) {}

  size_t below(size_t bound) { return random_() % bound; }
  bool once_in(size_t n) { return below(n) == 0; }
  std::string one_of(const std::vector<std::string>& choices) {
    return choices[below(choices.size())];
  }
  std::string bytes(size_t size) {
    std::string out(size, '\0');
    for (char& c : out) c = static_cast<char>(random_());
    return out;
  }
  std::string of(std::string_view alphabet, size_t at_most) {
    std::string out(below(at_most + 1), '\0');
    for (char& c : out) c = alphabet[below(alphabet.size())];
    return out;
  }
  /// One to three edits: something put in, bytes taken out, a part doubled.
  void edit(std::string& text, const std::vector<std::string>& insertions) {
    for (size_t edits = 1 + below(3); edits > 0; --edits) {
      const size_t at = below(text.size() + 1);
      const size_t how = below(8);
      if (how < 4) {
        text.insert(at, one_of(insertions));
      } else if (how < 7) {
        text.erase(at, 1 + below(2));
      } else {
        text.insert(at, text.substr(below(text.size() + 1), 12));
      }
    }
  }

 private:
  std::mt19937 random_;
};

/// Texts of one sweep, 64 at a time through one instance of fixed size. What does not fill it is
/// followed by other bytes, as bare keystream is in a window: it must not count.
class Instance {
 public:
  Instance(const mpc::Circuit& circuit, size_t size) : batch_(circuit), size_(size) {}

  /// Takes as much of each text as fits.
  void run(std::vector<std::string>& texts, RandomText& random) {
    for (size_t lane = 0; lane < texts.size(); ++lane) {
      texts[lane].resize(std::min(texts[lane].size(), size_));
      const std::string filled = texts[lane] + random.bytes(size_ - texts[lane].size());
      batch_.set(lane, "text", as_bytes(filled));
    }
    batch_.run();
  }
  std::vector<bool> marks(size_t lane, std::string_view group, size_t count) const {
    return batch_.marks(lane, group, size_, count);
  }
  bool bit(size_t lane, std::string_view group) const { return batch_.bit(lane, group, 0); }

 private:
  support::CircuitBatch batch_;
  size_t size_;
};

/// Another text of the same shape: its letters and digits from `begin` on are others.
inline std::string same_shape(std::string text, RandomText& random, size_t begin = 0) {
  for (size_t at = begin; at < text.size(); ++at) {
    const char c = text[at];
    if (c >= '0' && c <= '9') text[at] = static_cast<char>('0' + random.below(10));
    if (c >= 'a' && c <= 'z') text[at] = static_cast<char>('a' + random.below(26));
    if (c >= 'A' && c <= 'Z') text[at] = static_cast<char>('A' + random.below(26));
  }
  return text;
}

/// The marked bytes of a text, opened.
inline http::Marks opened(std::string_view text, const std::vector<bool>& marks) {
  http::Marks out;
  for (size_t at = 0; at < marks.size(); ++at) {
    if (marks[at]) out.push_back({at, text[at]});
  }
  return out;
}

inline std::string_view at(std::string_view text, http::Span span) {
  return text.substr(span.begin, span.size());
}

}  // namespace flexroom::circuits
