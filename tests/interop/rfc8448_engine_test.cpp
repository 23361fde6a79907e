#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "agent/connection_circuits.h"
#include "agent/wires.h"
#include "arith/coefficients.h"
#include "arith/token_batch.h"
#include "base/codec.h"
#include "boolean/engine.h"
#include "circuits/handshake.h"
#include "prep/field_ops.h"
#include "prep/ghash.h"
#include "prep/open.h"
#include "support/dealer.h"
#include "support/hmac_states.h"
#include "support/parties.h"
#include "tls/key_schedule.h"
#include "tls/record_layer.h"

// RFC 8448 §3, the published 1-RTT trace, through the engines: the client's key is split among the
// members, and ECDHE, both circuits and the tag must give the trace's secrets and its record.

namespace flexroom {
namespace {

const char* const kPath = FLEXROOM_SOURCE_DIR "/tests/vectors/rfc8448-section3.json";
using Group = math::X25519Group;
using Scalar = Group::Scalar;

class Rfc8448Engine : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    std::ifstream in(kPath);
    ASSERT_TRUE(in) << kPath;
    trace_ = nlohmann::json::parse(in);
  }
  Bytes field(const std::string& actor, const std::string& step, const std::string& name) const {
    for (const auto& entry : trace_) {
      if (entry["actor"] != actor || !entry["step"].get<std::string>().starts_with(step)) continue;
      if (!entry["fields"].contains(name)) continue;
      return from_hex(entry["fields"][name].get<std::string>());
    }
    ADD_FAILURE() << actor << " " << step << " " << name;
    return {};
  }
  Digest digest(const std::string& step, const std::string& name) const {
    const Bytes bytes = field("server", step, name);
    Digest out{};
    if (bytes.size() == out.size()) std::copy(bytes.begin(), bytes.end(), out.begin());
    return out;
  }
  nlohmann::json trace_;
};

/// The trace's private key as X25519 clamps it (RFC 7748 §5), modulo the group's order.
Scalar clamped(Bytes key) {
  key[0] &= 248;
  key[31] = static_cast<uint8_t>((key[31] & 127) | 64);
  math::U256 value{};
  for (size_t i = 0; i < 32; ++i) value[i / 8] |= uint64_t{key[i]} << (8 * (i % 8));
  return Scalar::from_wide(value, 0, 0);
}

struct Values {
  Bytes key_share, c_hs, s_hs, kin_ms, s_ap, record;
};

/// Bit i of a GHASH element is bit 7 - (i mod 8) of byte i / 8.
prep::AuthBits ghash_order(const prep::AuthBits& bits) {
  prep::AuthBits out(bits.self(), bits.num_parties(), 128);
  for (PartyId j = 0; j < bits.num_parties(); ++j) {
    for (size_t i = 0; i < 128 && j != bits.self(); ++i) {
      out.mac[j][i] = bits.mac[j][8 * (i / 8) + 7 - i % 8];
      out.key[j][i] = bits.key[j][8 * (i / 8) + 7 - i % 8];
    }
  }
  return out;
}

Bytes bytes_of(const Digest& digest) { return {digest.begin(), digest.end()}; }

struct Trace {
  Scalar client_key;
  Bytes server_share, request;
  Digest h1, h2;
};

/// The trace's connection at one member, step by step.
class Replay {
 public:
  Replay(net::Party& party, prep::Source& source, const Trace& trace)
      : party_(party), source_(source), trace_(trace), engine_(party, source) {}

  Values run() {
    handshake(token());
    plan_.bytes = trace_.request.size();
    const std::shared_ptr<const mpc::Program> program = agent::request_program(plan_);
    const prep::Powers powers = source_.powers(plan_.keystream_blocks() + 2);
    record(*program, powers, request(program, powers));
    return std::move(out_);
  }

 private:
  /// The last member's share of the key is what the others' leave of the trace's.
  arith::Token token() {
    const size_t n = party_.num_parties();
    const Digest id{1};
    const arith::ScopeGuard scope(party_, id);
    arith::Cope<Group::Field> cope(party_, source_);
    auto witness = arith::TokenWitness<Group>::random(party_, id);
    witness.k = Scalar::from_u64(1000 + party_.id());
    if (party_.id() + 1 == n) {
      witness.k = trace_.client_key;
      for (PartyId i = 0; i + 1 < n; ++i) witness.k -= Scalar::from_u64(1000 + i);
    }
    witness.key_proof = arith::KeyContribution<Group>::prove(party_, id, witness.k);
    std::vector<arith::TokenWitness<Group>> witnesses;
    witnesses.push_back(std::move(witness));
    auto tokens = arith::TokenBatch<Group>(party_, source_, cope, {id}, std::move(witnesses)).run();
    out_.key_share = arith::key_share(tokens.front());
    return std::move(tokens.front());
  }

  /// GC-A.
  void handshake(arith::Token token) {
    const size_t n = party_.num_parties();
    const auto a = std::make_shared<const mpc::Program>(
        mpc::compile(circuits::gc_a({NamedGroup::kX25519}, n)));
    std::vector<prep::AuthBits> zero_a(a->inputs.size());
    for (size_t i = 0; i < n; ++i) {
      zero_a[a->input_group(circuits::mask_input(NamedGroup::kX25519, i))] =
          std::move(token.rho[i]);
    }
    const auto gc_a = engine_.prepare(a, std::move(zero_a), "rfc 8448 a");
    boolean::OnlineInputs inputs = agent::empty_inputs(*a);
    inputs.pub[a->input_group(circuits::masked_input(NamedGroup::kX25519))] = arith::dh_online(
        party_, token, trace_.server_share, Digest{2}, Digest{3}, {[](const auto&) {}, nullptr});
    const tls::HandshakeWords words = tls::handshake_words(tls::sha256_kind(), trace_.h1);
    inputs.pub[a->input_group("kw_c_hs")] = agent::bits_of_bytes(words.client);
    inputs.pub[a->input_group("kw_s_hs")] = agent::bits_of_bytes(words.server);
    boolean::Outputs outputs = engine_.run(*gc_a, inputs);
    out_.c_hs = agent::bytes_of_bits(
        prep::open_bits(party_, source_.delta(), outputs.kept[a->output_group("c_hs")], "c_hs"));
    out_.s_hs = opened(outputs, *a, "s_hs");
    out_.kin_ms = opened(outputs, *a, "kin_ms");
    kout_ms_ = std::move(outputs.kept[a->output_group("kout_ms")]);
    kin_ms_ = agent::hash_value_of_bits(outputs.opened[a->output_group("kin_ms")]);
  }

  /// GC-B.
  boolean::Outputs request(const std::shared_ptr<const mpc::Program>& b,
                           const prep::Powers& powers) {
    std::vector<prep::AuthBits> zero_b(b->inputs.size());
    zero_b[b->input_group("r_c")] = ghash_order(powers.r_bits);
    const auto gc_b = engine_.prepare(b, std::move(zero_b), "rfc 8448 b");
    boolean::OnlineInputs inputs = agent::empty_inputs(*b);
    const tls::ApplicationWords application =
        tls::application_words(tls::sha256_kind(), kin_ms_, trace_.h2);
    inputs.dyn[b->input_group("kout_ms")] = &kout_ms_;
    inputs.pub[b->input_group("kw_c_ap")] = agent::bits_of_bytes(application.client);
    inputs.pub[b->input_group("kw_s_ap")] = agent::bits_of_bytes(application.server);
    boolean::Outputs outputs = engine_.run(*gc_b, inputs);
    out_.s_ap = agent::bytes_of_bits(
        prep::open_bits(party_, source_.delta(), outputs.kept[b->output_group("s_ap")], "s_ap"));
    return outputs;
  }

  /// Header, ciphertext, and the tag that GHASH makes of them.
  void record(const mpc::Program& b, const prep::Powers& powers, const boolean::Outputs& outputs) {
    Bytes ciphertext = opened(outputs, b, "c_0");
    for (size_t k = 0; k < trace_.request.size(); ++k) {
      ciphertext[k] = static_cast<uint8_t>(ciphertext[k] ^ trace_.request[k]);
    }
    const auto header = tls::record_aad(ciphertext.size() + tls::kTagSize);
    std::vector<Block> blocks;
    prep::append_ghash_blocks(blocks, header);
    prep::append_ghash_blocks(blocks, ciphertext);
    Writer lengths;
    lengths.u64(8 * header.size()).u64(8 * ciphertext.size());
    blocks.push_back(prep::ghash_block(lengths.bytes()));
    prep::AuthField tag =
        prep::ghash_share(powers, prep::ghash_block(opened(outputs, b, "d_c")), blocks);
    prep::add(tag, prep::pack(ghash_order(outputs.kept[b.output_group("j0_0")])));
    out_.record.assign(header.begin(), header.end());
    append(out_.record, ciphertext);
    append(out_.record,
           prep::ghash_bytes(prep::open_field(party_, source_.delta(), tag, "tag").front()));
  }

  static Bytes opened(const boolean::Outputs& outputs, const mpc::Program& program,
                      std::string_view name) {
    return agent::bytes_of_bits(outputs.opened[program.output_group(name)]);
  }

  net::Party& party_;
  prep::Source& source_;
  const Trace& trace_;
  boolean::Engine engine_;
  agent::RequestPlan plan_;
  prep::AuthBits kout_ms_;
  tls::HashValue kin_ms_{};
  Values out_;
};

TEST_P(Rfc8448Engine, GivesTheTracesSecretsAndItsRecord) {
  Trace trace;
  trace.client_key = clamped(field("client", "create an ephemeral", "private key"));
  trace.server_share = field("server", "create an ephemeral", "public key");
  trace.request = field("client", "send application_data record", "payload");
  trace.h1 = digest("derive secret \"tls13 c hs", "hash");
  trace.h2 = digest("derive secret \"tls13 c ap", "hash");
  support::Dealer dealer(GetParam());
  const auto run = support::run_parties(GetParam(), [&](net::Party& party) {
    return Replay(party, dealer.source(party.id()), trace).run();
  });
  const support::HmacStates master =
      support::hmac_states(digest("extract secret \"master\"", "secret"));
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
    const Values& got = *outcome.value;
    EXPECT_EQ(got.key_share, field("client", "create an ephemeral", "public key"));
    EXPECT_EQ(got.c_hs, bytes_of(digest("derive secret \"tls13 c hs", "expanded")));
    EXPECT_EQ(got.s_hs, bytes_of(digest("derive secret \"tls13 s hs", "expanded")));
    EXPECT_EQ(got.kin_ms, bytes_of(sha256_state_bytes(master.inner)));
    EXPECT_EQ(got.s_ap, bytes_of(digest("derive secret \"tls13 s ap", "expanded")));
    EXPECT_EQ(got.record, field("client", "send application_data record", "complete record"));
  }
}

INSTANTIATE_TEST_SUITE_P(Members, Rfc8448Engine, ::testing::Values(2, 3));

}  // namespace
}  // namespace flexroom
