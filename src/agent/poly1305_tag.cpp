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
    : Poly1305Tag(
          std::move(make(context, {{aad_bytes, ciphertext_bytes, std::move(name)}}).front())) {}

Poly1305Tag::Poly1305Tag(const Context& context, Shape shape, arith::Poly1305Masks masks)
    : context_(context), shape_(std::move(shape)), masks_(std::move(masks)) {
  const auto program = tag_program(context_.party.num_parties());
  std::vector<prep::AuthBits> zero(program->inputs.size());
  for (size_t i = 0; i < masks_.sigma.size(); ++i) {
    zero[program->input_group("sigma_" + std::to_string(i))] = std::move(masks_.sigma[i]);
  }
  circuit_ = context_.engine.prepare(program, std::move(zero), "tag " + shape_.name);
}

std::vector<Poly1305Tag> Poly1305Tag::make(const Context& context,
                                           const std::vector<Shape>& shapes) {
  std::vector<size_t> blocks;
  for (const Shape& shape : shapes) {
    blocks.push_back(arith::poly1305_aead_block_count(shape.aad_bytes, shape.ciphertext_bytes));
  }
  std::vector<arith::Poly1305Masks> masks = context.arith.make_poly1305(blocks);
  std::vector<Poly1305Tag> out;
  for (size_t k = 0; k < shapes.size(); ++k) {
    out.push_back(Poly1305Tag(context, shapes[k], std::move(masks[k])));
  }
  return out;
}

uint64_t Poly1305Tag::num_ands(size_t num_parties) { return tag_program(num_parties)->num_ands(); }
uint64_t Poly1305Tag::num_triples(size_t num_parties) {
  return tag_program(num_parties)->num_triples;
}

double Poly1305Tag::bytes_to_each_peer(size_t aad_bytes, size_t ciphertext_bytes) {
  const size_t blocks = arith::poly1305_aead_block_count(aad_bytes, ciphertext_bytes);
  return arith::poly1305_bytes_to_each_peer(arith::Poly1305Plan::of(blocks));
}

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
  Poly1305Tag* const self = this;
  const RecordText record{{aad.begin(), aad.end()}, {ciphertext.begin(), ciphertext.end()}};
  return std::move(compute({&self, 1}, {&record, 1}).front());
}

std::vector<prep::AuthBits> Poly1305Tag::compute(std::span<Poly1305Tag* const> tags,
                                                 std::span<const RecordText> records) {
  FLEXROOM_ASSERT(!tags.empty() && tags.size() == records.size());
  std::vector<arith::Poly1305Use> uses;
  for (size_t k = 0; k < tags.size(); ++k) {
    Poly1305Tag& tag = *tags[k];
    const auto& [header, ciphertext] = records[k];
    FLEXROOM_ASSERT(header.size() == tag.shape_.aad_bytes &&
                    ciphertext.size() <= tag.shape_.ciphertext_bytes);
    if (tag.s_.empty()) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "tls/record",
                          "tag " + tag.shape_.name + " was computed, or has no key");
    }
    uses.push_back({&tag.masks_, tag.r_, arith::poly1305_aead_blocks(header, ciphertext)});
  }
  const Context& context = tags.front()->context_;
  const auto masked =
      context.arith.guarded([&] { return arith::poly1305_masked(context.party, uses); });
  std::vector<prep::AuthBits> out;
  for (size_t k = 0; k < tags.size(); ++k) {
    out.push_back(tags[k]->unmask(records[k].header, records[k].ciphertext, masked[k]));
  }
  return out;
}

prep::AuthBits Poly1305Tag::unmask(ByteView aad, ByteView ciphertext,
                                   const std::vector<uint8_t>& masked) {
  const mpc::Program& program = circuit_->program();
  boolean::OnlineInputs inputs = empty_inputs(program);
  inputs.dyn[program.input_group("s")] = &s_;
  inputs.pub[program.input_group("e")] = masked;
  inputs.view = RandomOracle("view", context_.party.scope())
                    .field("poly1305")
                    .field(shape_.name)
                    .field(masks_.id)
                    .field(aad)
                    .field(ciphertext)
                    .field(r_)
                    .field(masked)
                    .digest();
  boolean::Outputs outputs = context_.engine.run(*circuit_, inputs);
  s_ = prep::AuthBits();
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
