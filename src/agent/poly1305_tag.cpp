#include "agent/poly1305_tag.h"

#include "agent/wires.h"
#include "base/ct.h"
#include "circuits/poly1305.h"
#include "mpc/program_cache.h"
#include "prep/field_ops.h"
#include "prep/open.h"

namespace flexroom::agent {
namespace {

std::shared_ptr<const mpc::Program> tag_program(size_t num_parties) {
  static mpc::ProgramCache made;
  return made.get(std::to_string(num_parties),
                  [&] { return circuits::poly1305_tag_circuit(num_parties); });
}

std::string input_name(std::string_view mask, uint64_t seq, size_t party) {
  return std::string(mask) + "_" + std::to_string(seq) + "_" + std::to_string(party);
}

}  // namespace

Poly1305Tag::Poly1305Tag(const Context& context, size_t aad_bytes, size_t ciphertext_bytes,
                         std::string name)
    : context_(context),
      name_(std::move(name)),
      aad_bytes_(aad_bytes),
      ciphertext_bytes_(ciphertext_bytes) {
  const size_t blocks = arith::poly1305_aead_block_count(aad_bytes, ciphertext_bytes);
  masks_ = std::move(context_.arith.make_poly1305({&blocks, 1}).front());
  const auto program = tag_program(context_.party.num_parties());
  std::vector<prep::AuthBits> zero(program->inputs.size());
  for (size_t i = 0; i < masks_.sigma.size(); ++i) {
    zero[program->input_group("sigma_" + std::to_string(i))] = std::move(masks_.sigma[i]);
  }
  circuit_ = context_.engine.prepare(program, std::move(zero), "tag " + name_);
}

uint64_t Poly1305Tag::num_ands(size_t num_parties) { return tag_program(num_parties)->num_ands(); }

void Poly1305Tag::bind(const mpc::Program& program, uint64_t seq,
                       std::vector<prep::AuthBits>& zero) {
  for (size_t i = 0; i < masks_.rho.size(); ++i) {
    zero[program.input_group(input_name("rho", seq, i))] = std::move(masks_.rho[i]);
  }
}

void Poly1305Tag::take_key(const mpc::Program& program, uint64_t seq, boolean::Outputs& outputs) {
  r_ = std::move(outputs.opened[program.output_group("r_" + std::to_string(seq))]);
  s_ = std::move(outputs.kept[program.output_group("s_" + std::to_string(seq))]);
}

prep::AuthBits Poly1305Tag::compute(ByteView aad, ByteView ciphertext) {
  FLEXROOM_ASSERT(aad.size() == aad_bytes_ && ciphertext.size() == ciphertext_bytes_);
  FLEXROOM_ASSERT(!s_.empty());
  const std::vector<math::U256> blocks = arith::poly1305_aead_blocks(aad, ciphertext);
  const std::vector<uint8_t> masked = context_.arith.guarded(
      [&] { return arith::poly1305_masked(context_.party, masks_, r_, blocks); });

  const mpc::Program& program = circuit_->program();
  boolean::OnlineInputs inputs = empty_inputs(program);
  inputs.dyn[program.input_group("s")] = &s_;
  inputs.pub[program.input_group("e")] = masked;
  inputs.view = RandomOracle("view", context_.party.scope())
                    .field("poly1305")
                    .field(name_)
                    .field(masks_.id)
                    .field(aad)
                    .field(ciphertext)
                    .field(r_)
                    .field(masked)
                    .digest();
  boolean::Outputs outputs = context_.engine.run(*circuit_, inputs);
  return std::move(outputs.kept[program.output_group("tag")]);
}

void Poly1305Tag::erase() {
  masks_ = arith::Poly1305Masks();
  circuit_.reset();
  s_ = prep::AuthBits();
}

prep::AuthField tag_element(const prep::AuthBits& tag) { return prep::pack(ghash_order(tag)); }

void require_tag(net::Party& party, const Block& delta, const prep::AuthBits& tag,
                 ByteView received) {
  const Bytes opened = bytes_of_bits(prep::open_bits(party, delta, tag, "tls/open T'"));
  if (!ct_equal(opened, received)) {
    throw ProtocolAbort(AbortCode::kServer, "tls/record",
                        "the tag of a record is wrong: the network changed it");
  }
}

}  // namespace flexroom::agent
