#pragma once

#include <array>
#include <cstdint>

#include "circuits/word.h"

namespace flexroom::circuits {

/// What SHA-256 and SHA-512 share: their rounds, which differ in word size, constants and rotations
/// (FIPS 180-4 §4.1, §6.2.2, §6.4.2). `Hash` has Word, kRounds, kConstants, and the four sigmas as
/// three numbers each: rotations, the last one of a small sigma a shift. Inside of circuits.
template <typename Hash>
class Sha2 {
 public:
  using Word = typename Hash::Word;
  using State = std::array<Word, 8>;
  using Block = std::array<Word, 16>;
  using RoundWords = std::array<Word, Hash::kRounds>;

  static State compress(const State& state, const Block& block) {
    Schedule schedule(block);
    return rounds(state, [&](size_t t, const Word& h, const Word& sigma, const Word& ch) {
      return sum(std::array{h, sigma, ch, Word(Hash::kConstants[t]), schedule.at(t)});
    });
  }
  static State compress_pub(const State& state, const RoundWords& round_words) {
    return rounds(state, [&](size_t t, const Word& h, const Word& sigma, const Word& ch) {
      return sum(std::array{h, sigma, ch, round_words[t]});
    });
  }

 private:
  using Amounts = std::array<size_t, 3>;

  // XOR and rotation are free; choose and majority cost an AND a bit each, so they are written with
  // one & instead of the standard's two and three.
  static Word choose(const Word& x, const Word& y, const Word& z) { return z ^ (x & (y ^ z)); }
  static Word majority(const Word& x, const Word& y, const Word& z) {
    return z ^ ((x ^ z) & (y ^ z));
  }
  static Word big_sigma(const Word& x, const Amounts& n) {
    return rotr(x, n[0]) ^ rotr(x, n[1]) ^ rotr(x, n[2]);
  }
  static Word small_sigma(const Word& x, const Amounts& n) {
    return rotr(x, n[0]) ^ rotr(x, n[1]) ^ shr(x, n[2]);
  }

  /// W_t, step 1, kept as a ring of the last 16 words: written just in time, the schedule stays
  /// beside the round that uses it in the program too.
  class Schedule {
   public:
    explicit Schedule(const Block& block) : ring_(block) {}

    const Word& at(size_t t) {
      Word& w = ring_[t % 16];
      if (t >= 16) {
        w = sum(std::array{w, small_sigma(ring_[(t - 15) % 16], Hash::kSmallSigma0),
                           ring_[(t - 7) % 16],
                           small_sigma(ring_[(t - 2) % 16], Hash::kSmallSigma1)});
      }
      return w;
    }

   private:
    Block ring_;
  };

  /// Steps 2 to 4; `t1_of(t, h, sigma, ch)` adds up T1 with the words of round t.
  template <typename T1>
  static State rounds(const State& state, T1 t1_of) {
    auto [a, b, c, d, e, f, g, h] = state;
    for (size_t t = 0; t < Hash::kRounds; ++t) {
      const Word t1 = t1_of(t, h, big_sigma(e, Hash::kBigSigma1), choose(e, f, g));
      const Word next_a = sum(std::array{t1, big_sigma(a, Hash::kBigSigma0), majority(a, b, c)});
      h = g, g = f, f = e, e = sum(std::array{d, t1});
      d = c, c = b, b = a, a = next_a;
    }
    const State last = {a, b, c, d, e, f, g, h};
    State out;
    for (size_t i = 0; i < 8; ++i) out[i] = sum(std::array{state[i], last[i]});
    return out;
  }
};

}  // namespace flexroom::circuits
