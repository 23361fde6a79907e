#pragma once

#include <span>

#include "prep/prep.h"

namespace flexroom::prep {

/// Another source, not owned: to lend one, or to see what is asked of it.
class ForwardSource : public Source {
 public:
  explicit ForwardSource(Source& source) : source_(source) {}
  const Block& delta() const override { return source_.delta(); }
  AuthBits random_bits(size_t count) override { return source_.random_bits(count); }
  AuthBits owned_bits(PartyId owner, size_t count) override {
    return source_.owned_bits(owner, count);
  }
  AuthBits owned_bits_of(PartyId owner, size_t count, std::span<const uint8_t> bits) override {
    return source_.owned_bits_of(owner, count, bits);
  }
  AndTriples and_triples(size_t count) override { return source_.and_triples(count); }
  VecTriple vec_triple(size_t count) override { return source_.vec_triple(count); }
  std::vector<VecTriple> vec_triples(std::span<const size_t> counts) override {
    return source_.vec_triples(counts);
  }
  Powers powers(size_t max_power) override { return source_.powers(max_power); }
  RotSender rot_send(PartyId receiver, size_t count) override {
    return source_.rot_send(receiver, count);
  }
  RotReceiver rot_receive(PartyId sender, size_t count, std::span<const uint8_t> choices) override {
    return source_.rot_receive(sender, count, choices);
  }

 protected:
  Source& source_;
};

}  // namespace flexroom::prep
