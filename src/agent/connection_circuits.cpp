#include "agent/connection_circuits.h"

#include "circuits/chacha_records.h"
#include "circuits/sigv4.h"
#include "http/template.h"
#include "mpc/program_cache.h"

namespace flexroom::agent {
namespace {

// Public text enters as zeros: its ciphertext is then the keystream, and everybody XORs the text in
// outside. Opening keystream at public positions is harmless (tls-in-mpc.md §4.3).
circuits::Text request_text(mpc::Builder& builder, const RequestPlan& plan) {
  FLEXROOM_ASSERT(plan.bytes > 0 && plan.bytes <= http::kMaxRequest);
  circuits::Text text = circuits::constant_text(Bytes(plan.bytes));
  if (!plan.secret_bits.empty()) {
    const mpc::Bits secret = builder.add_input("secret", mpc::InputKind::kDyn,
                                               static_cast<uint32_t>(plan.secret_bits.size()));
    for (size_t k = 0; k < plan.secret_bits.size(); ++k) {
      const uint32_t position = plan.secret_bits[k];
      FLEXROOM_ASSERT(position < 8 * plan.bytes && (k == 0 || plan.secret_bits[k - 1] < position));
      text[position / 8][position % 8] = secret[k];
    }
  }
  if (plan.signature_offset) {
    const mpc::Bits kout = builder.add_input("kout_signing", mpc::InputKind::kDyn, 256);
    const mpc::Bits words = builder.add_input("kw_signature", mpc::InputKind::kPub, 2048);
    const circuits::Text signature =
        circuits::sigv4_signature(circuits::state_of(kout), circuits::round_words_of(words));
    FLEXROOM_ASSERT(*plan.signature_offset + signature.size() <= plan.bytes);
    std::copy(signature.begin(), signature.end(),
              text.begin() + static_cast<ptrdiff_t>(*plan.signature_offset));
  }
  return text;
}

// In the records from `sequence` on.
template <typename Circuit>
void add_request(Circuit& circuit, const RequestPlan& plan, uint64_t sequence) {
  FLEXROOM_ASSERT(plan.record_bytes > 0 && plan.record_bytes <= circuits::kMaxRecordContent);
  const circuits::Text text = request_text(circuit.builder(), plan);
  for (size_t k = 0; k < plan.records(); ++k) {
    const auto begin = text.begin() + static_cast<ptrdiff_t>(k * plan.record_bytes);
    const auto end = begin + static_cast<ptrdiff_t>(plan.content_bytes(k));
    circuit.records().add(sequence + k, circuits::Text(begin, end),
                          plan.inner_bytes(k) - plan.content_bytes(k) - 1);
  }
}

}  // namespace

std::shared_ptr<const mpc::Program> handshake_program(const Groups& groups, size_t num_members,
                                                      const circuits::HashCircuit& hash) {
  static mpc::ProgramCache made;
  // What the program depends on.
  const std::string shape = to_string(curves_of(groups)) + (has_kem(groups) ? " with ML-KEM" : "");
  return made.get(std::string(hash.name) + " " + shape + "/" + std::to_string(num_members),
                  [&] { return circuits::gc_a(groups, num_members, hash); });
}

std::shared_ptr<const mpc::Program> request_program(const RequestPlan& plan,
                                                    const circuits::GcmSuite& suite) {
  circuits::GcB gc_b(
      plan.keep_write_keys,
      plan.sealed_answer ? circuits::ServerSecret::kStates : circuits::ServerSecret::kKept, suite);
  add_request(gc_b, plan, 0);
  return std::make_shared<const mpc::Program>(mpc::compile(gc_b.finish()));
}

std::shared_ptr<const mpc::Program> later_request_program(const RequestPlan& plan,
                                                          uint64_t sequence,
                                                          const circuits::GcmSuite& suite) {
  circuits::LaterRequest later(suite);
  add_request(later, plan, sequence);
  return std::make_shared<const mpc::Program>(mpc::compile(later.finish()));
}

std::shared_ptr<const mpc::Program> chacha_request_program(const RequestPlan& plan,
                                                           size_t num_members) {
  circuits::ChaChaGcB gc_b(
      num_members, plan.keep_write_keys,
      plan.sealed_answer ? circuits::ServerSecret::kStates : circuits::ServerSecret::kKept);
  add_request(gc_b, plan, 0);
  return std::make_shared<const mpc::Program>(mpc::compile(gc_b.finish()));
}

std::shared_ptr<const mpc::Program> chacha_later_request_program(const RequestPlan& plan,
                                                                 uint64_t sequence,
                                                                 size_t num_members) {
  circuits::ChaChaLaterRequest later(num_members);
  add_request(later, plan, sequence);
  return std::make_shared<const mpc::Program>(mpc::compile(later.finish()));
}

}  // namespace flexroom::agent
