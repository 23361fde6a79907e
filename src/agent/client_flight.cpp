#include "agent/client_flight.h"

#include "agent/gcm.h"
#include "agent/poly1305_tag.h"
#include "agent/wires.h"
#include "base/codec.h"
#include "circuits/client_flight.h"
#include "mpc/program_cache.h"
#include "prep/field_ops.h"
#include "prep/ghash.h"
#include "prep/powers.h"
#include "tls/key_schedule.h"
#include "tls/record_layer.h"

namespace flexroom::agent {
namespace {

/// With the content type.
size_t inner_bytes(const tls::HashKind& hash) {
  return circuits::kEmptyCertificate.size() + 4 + hash.digest_bytes + 1;
}
/// Header, ciphertext, lengths.
size_t ghash_blocks(const tls::HashKind& hash) { return 1 + (inner_bytes(hash) + 15) / 16 + 1; }

const tls::HashKind& kind_of(const circuits::GcmSuite& suite) {
  return &suite.hash == &circuits::sha256_hash() ? tls::sha256_kind() : tls::sha384_kind();
}

class GcmClientFlight final : public ClientFlight {
 public:
  GcmClientFlight(prep::Source& source, const circuits::GcmSuite& suite)
      : ClientFlight(client_flight_program(suite), kind_of(suite)),
        hash_(source, ghash_blocks(kind_of(suite)), 0) {}

 private:
  void give_masks(const mpc::Program& program, std::vector<prep::AuthBits>& zero) override {
    zero[program.input_group("r_h")] = hash_.random_bits();
  }
  std::string_view ciphertext() const override { return "c"; }
  void take_tag_key(const mpc::Program& program, boolean::Outputs& outputs) override {
    hash_.set_difference(
        prep::ghash_block(bytes_of_bits(outputs.opened[program.output_group("d_h")])));
    j0_ = std::move(outputs.kept[program.output_group("j0")]);
  }
  prep::AuthField compute_tag(const RecordText& record) override {
    prep::AuthField tag = hash_.hash_short(ghash_input(record.header, record.ciphertext));
    prep::add(tag, prep::pack(ghash_order(j0_)));
    hash_.erase();
    j0_ = prep::AuthBits();
    return tag;
  }

  GhashKey hash_;
  prep::AuthBits j0_;  // E_K(J0)
};

class ChaChaClientFlight final : public ClientFlight {
 public:
  explicit ChaChaClientFlight(const Context& context)
      : ClientFlight(chacha_client_flight_program(context.party.num_parties()), tls::sha256_kind()),
        tag_(context, tls::kHeaderSize, inner_bytes(tls::sha256_kind()), "client flight") {}

 private:
  void give_masks(const mpc::Program& program, std::vector<prep::AuthBits>& zero) override {
    tag_.bind(program, 0, zero);
  }
  std::string_view ciphertext() const override { return "c_0"; }
  void take_tag_key(const mpc::Program& program, boolean::Outputs& outputs) override {
    tag_.take_key(program, 0, outputs);
  }
  prep::AuthField compute_tag(const RecordText& record) override {
    return tag_element(tag_.compute(record.header, record.ciphertext));
  }

  Poly1305Tag tag_;
};

}  // namespace

std::shared_ptr<const mpc::Program> client_flight_program(const circuits::GcmSuite& suite) {
  static mpc::ProgramCache made;
  return made.get(std::string(suite.name), [&] { return circuits::gc_cf(suite); });
}

std::shared_ptr<const mpc::Program> chacha_client_flight_program(size_t num_members) {
  static mpc::ProgramCache made;
  return made.get(std::to_string(num_members), [&] { return circuits::chacha_gc_cf(num_members); });
}

std::unique_ptr<ClientFlight> make_gcm_client_flight(const Context& context,
                                                     const circuits::GcmSuite& suite) {
  return std::make_unique<GcmClientFlight>(context.source, suite);
}

std::unique_ptr<ClientFlight> make_chacha_client_flight(const Context& context) {
  return std::make_unique<ChaChaClientFlight>(context);
}

double gcm_client_flight_tag_bytes(const circuits::GcmSuite& suite) {
  return prep::power_bytes_to_each_peer(ghash_blocks(kind_of(suite)));
}

double chacha_client_flight_tag_bytes() {
  return Poly1305Tag::bytes_to_each_peer(tls::kHeaderSize, inner_bytes(tls::sha256_kind()));
}

boolean::Preparation ClientFlight::circuit() {
  std::vector<prep::AuthBits> zero(program_->inputs.size());
  give_masks(*program_, zero);
  boolean::Preparation out{program_, std::move(zero), "gc-cf"};
  out.with_previous = true;
  return out;
}

void ClientFlight::mark(Journal& journal, const Digest& csid) {
  Writer mark;
  mark.raw(csid).raw(as_bytes("hs")).u64(0);  // generation "hs", sequence 0
  journal.mark("record", mark.bytes());
}

boolean::OnlineInputs ClientFlight::inputs(const prep::AuthBits& c_hs,
                                           const tls::HashValue& transcript, const Views& views,
                                           const Digest& a2) const {
  boolean::OnlineInputs out = empty_inputs(*program_);
  out.dyn[program_->input_group("c_hs")] = &c_hs;
  out.pub[program_->input_group("kw_finished")] =
      bits_of_bytes(tls::outer_words(hash_kind_, transcript));
  out.view = views.of("gc-cf").field(a2).field(transcript).digest();
  return out;
}

RecordText ClientFlight::take(boolean::Outputs outputs) {
  FLEXROOM_ASSERT(state_ == State::kPrepared);
  state_ = State::kMade;
  take_tag_key(*program_, outputs);
  instance_.reset();
  RecordText out;
  out.ciphertext = bytes_of_bits(outputs.opened[program_->output_group(ciphertext())]);
  FLEXROOM_ASSERT(out.ciphertext.size() == inner_bytes(hash_kind_));
  const auto header = tls::record_aad(out.ciphertext.size() + tls::kTagSize);
  out.header.assign(header.begin(), header.end());
  return out;
}

prep::AuthField ClientFlight::tag_share(const RecordText& record) {
  if (state_ != State::kMade) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, "tls/client flight",
                        "the tag of the client's flight was computed, or there is no flight");
  }
  state_ = State::kTagged;
  return compute_tag(record);
}

}  // namespace flexroom::agent
