#include "agent/circuit_counts.h"

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "agent/sealed_circuits.h"
#include "agent/suite.h"
#include "circuits/answer.h"

namespace flexroom::agent {
namespace {

// What is long to write and compile for a plan alone, of a suite that nobody is offered. The test
// of this file holds each number against the circuits.

/// GC-A behind x, and what ML-KEM adds to it.
struct KeySchedule {
  const tls::HashKind& (*hash)();
  uint64_t ands, with_kem;
};
constexpr KeySchedule kSchedules[] = {{tls::sha256_kind, 323'628, 17'556},
                                      {tls::sha384_kind, 829'333, 1'072}};

/// GC-B but its records, what a sealed answer adds to it; GC-C but its records.
struct KeyCircuits {
  uint16_t suite;
  uint64_t request, sealed, answer;
};
constexpr KeyCircuits kKeyCircuits[] = {{0x1301, 157'341, 43'248, 38'555},
                                        {0x1302, 394'113, 111'469, 90'044}};

const KeyCircuits* known_keys(const tls::CipherSuite& suite) {
  for (const KeyCircuits& known : kKeyCircuits) {
    if (known.suite == suite.code) return &known;
  }
  return nullptr;
}

/// Of programs that nobody needs but for this; made once a process.
uint64_t once(const std::string& key, const std::function<uint64_t()>& count) {
  static std::mutex mutex;
  static std::map<std::string, uint64_t> counts;
  const std::lock_guard lock(mutex);
  const auto [at, is_new] = counts.try_emplace(key);
  if (is_new) at->second = count();
  return at->second;
}

uint64_t block_ands(const Suite& suite) { return suite.answer().keystream_program(1)->num_ands(); }

uint64_t small_later(const Suite& suite, const RequestPlan& plan, size_t n) {
  return suite.later_request_program(plan, 1, n)->num_ands();
}

/// Of a record with so many bytes of content: a short one that ends as it does, and blocks.
uint64_t record_ands(const Suite& suite, size_t inner_bytes, size_t n) {
  const size_t block = suite.answer().block_bytes;
  size_t small = (inner_bytes - 1) % block + 1;
  if (small == 1) small += block;  // a request has a byte beside the content type
  RequestPlan plan;
  plan.bytes = small - 1;
  const std::string key =
      std::to_string(suite.tls.code) + " record " + std::to_string(small) + "/" + std::to_string(n);
  return once(key, [&] { return small_later(suite, plan, n); }) +
         (inner_bytes - small) / block * block_ands(suite);
}

/// What the first request has more: keys from the handshake's secrets.
uint64_t key_ands(const Suite& suite, const RequestPlan& of, size_t n) {
  if (const KeyCircuits* const known = known_keys(suite.tls)) {
    return known->request + (of.sealed_answer ? known->sealed : 0);
  }
  RequestPlan plan;
  plan.bytes = 1;
  plan.sealed_answer = of.sealed_answer;
  plan.keep_write_keys = of.keep_write_keys;
  const std::string key = std::to_string(suite.tls.code) +
                          (of.sealed_answer ? " sealed" : " open") +
                          (of.keep_write_keys ? " keeps" : "") + "/" + std::to_string(n);
  return once(key, [&] {
    return suite.request_program(plan, n)->num_ands() - small_later(suite, plan, n);
  });
}

uint64_t signature_ands(const Suite& suite, size_t n) {
  return once("signature", [&] {
    RequestPlan plan;
    plan.bytes = 64;
    const uint64_t without = small_later(suite, plan, n);
    plan.signature_offset = 0;
    return small_later(suite, plan, n) - without;
  });
}

/// The same cipher, of whose keystream only the number of blocks is there.
AnswerCipher without_keystream(const AnswerCipher& cipher) {
  AnswerCipher out = cipher;
  out.keystream_program = [](size_t blocks) {
    const auto program = std::make_shared<mpc::Program>();
    program->inputs.push_back(
        {"place", mpc::InputKind::kPub, 0, static_cast<uint32_t>(circuits::kPlaceBits * blocks)});
    return std::shared_ptr<const mpc::Program>(program);
  };
  return out;
}

/// GC-C of so many records, whose first two say what each adds.
uint64_t answer_key_ands(const Suite& suite, size_t records, size_t n) {
  const AnswerCipher& cipher = suite.answer();
  if (const KeyCircuits* const known = known_keys(suite.tls)) {
    return known->answer + records * (2 * block_ands(suite) + cipher.tag_ands(n));
  }
  const uint64_t one = cipher.key_program(1, n)->num_ands();
  const uint64_t two = cipher.key_program(2, n)->num_ands();
  return one + (records - 1) * (two - one) + records * cipher.tag_ands(n);
}

}  // namespace

uint64_t count_handshake(const tls::CipherSuite& suite, const Groups& groups, size_t num_members) {
  const Groups curves = curves_of(groups);
  for (const KeySchedule& known : kSchedules) {
    if (known.hash != suite.hash) continue;
    uint64_t out = known.ands;
    for (const NamedGroup curve : curves) {
      out += num_members * (curve == NamedGroup::kX25519 ? 509 : 511);
    }
    if (curves.size() > 1) out += 256;  // which of them
    // Bit 255 of X25519's x alone is 0.
    if (has_kem(groups)) out += known.with_kem - (curves.size() > 1 ? 0 : 1);
    return out;
  }
  return suite_of(suite).handshake_program(groups, num_members)->num_ands();
}

CircuitCount count_request(const tls::CipherSuite& suite, const RequestPlan& plan,
                           size_t num_members, bool is_first) {
  const Suite& of = suite_of(suite);
  CircuitCount out;
  for (size_t k = 0; k < plan.records(); ++k) {
    out.ands += record_ands(of, plan.inner_bytes(k), num_members);
  }
  out.ands += plan.records() * of.tag_ands(num_members);
  if (plan.signature_offset) out.ands += signature_ands(of, num_members);
  if (is_first) out.ands += key_ands(of, plan, num_members);
  out.tag_bytes = of.tag_bytes(plan, is_first);
  return out;
}

PaddingCost padding_cost(const tls::CipherSuite& suite, tls::Padding padding, size_t from,
                         size_t to) {
  FLEXROOM_ASSERT(from < to && to <= tls::kMaxPlaintext);
  const Suite& of = suite_of(suite);
  const size_t block = of.answer().block_bytes;
  uint64_t sum = 0, largest = 0;
  for (size_t content = from; content < to; ++content) {
    const auto blocks = [&](size_t inner) { return (inner + block - 1) / block; };
    const uint64_t more = blocks(tls::padded_bytes(padding, content + 1)) - blocks(content + 1);
    sum += more * block_ands(of);
    largest = std::max(largest, more * block_ands(of));
  }
  return {sum / (to - from), largest};
}

CircuitCount count_answer(const tls::CipherSuite& suite, const SealedPlan& plan, size_t num_members,
                          bool is_first, const RequestsToCome& to_come) {
  FLEXROOM_ASSERT(plan.key_updates == 0);
  const Suite& of = suite_of(suite);
  const AnswerCipher blocks = without_keystream(of.answer());
  const SealedCircuits circuits(plan, blocks);
  CircuitCount out;
  out.ands = circuits.num_ands();
  for (const std::string_view name :
       {SealedCircuits::kTypes, SealedCircuits::kHeaderBlocks, SealedCircuits::kBodyBlocks}) {
    out.ands += circuits.keystream_left(name) * block_ands(of);
  }
  if (!is_first) return out;
  const AnswerBounds bounds{plan.records + to_come.records,
                            plan.record_bytes + to_come.record_bytes, 0};
  out.ands += answer_key_ands(of, bounds.records, num_members);
  out.tag_bytes = of.answer().tag_bytes(bounds, bounds.records);
  return out;
}

}  // namespace flexroom::agent
