#include "agent/poly1305_tag.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "agent/memory_journal.h"
#include "agent/wires.h"
#include "circuits/chacha_records.h"
#include "prep/ghash.h"
#include "prep/open.h"
#include "support/dealer.h"
#include "support/parties.h"

// ChaCha20-Poly1305 messages whose key is shared among the members, through both engines
// (tls-in-mpc.md §4.7).

namespace flexroom::agent {
namespace {

using support::Dealer;
using support::run_parties;

struct Message {
  int id = 0;
  Bytes key, nonce, aad, plaintext, ciphertext, tag;
  bool valid = true;
};

std::vector<uint8_t> bits_of(ByteView bytes) {
  std::vector<uint8_t> out;
  for (const uint8_t byte : bytes) {
    for (unsigned b = 0; b < 8; ++b) out.push_back(static_cast<uint8_t>(byte >> b & 1));
  }
  return out;
}

/// Ciphertext and tag by OpenSSL.
void seal(Message& m) {
  m.ciphertext.resize(m.plaintext.size());
  m.tag.resize(16);
  int size = 0;
  EVP_CIPHER_CTX* ctx = EVP_CIPHER_CTX_new();
  EVP_EncryptInit_ex(ctx, EVP_chacha20_poly1305(), nullptr, m.key.data(), m.nonce.data());
  EVP_EncryptUpdate(ctx, nullptr, &size, m.aad.data(), static_cast<int>(m.aad.size()));
  EVP_EncryptUpdate(ctx, m.ciphertext.data(), &size, m.plaintext.data(),
                    static_cast<int>(m.plaintext.size()));
  EVP_EncryptFinal_ex(ctx, m.ciphertext.data() + size, &size);
  EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, m.tag.data());
  EVP_CIPHER_CTX_free(ctx);
}

Message message_of(size_t size, uint64_t seed = 1) {
  Prg prg(Block(seed, 8439));
  Message m;
  m.key.resize(32);
  m.nonce.resize(12);
  m.aad.resize(5);
  m.plaintext.resize(size);
  for (Bytes* part : {&m.key, &m.nonce, &m.aad, &m.plaintext}) {
    prg.fill(std::span<uint8_t>(*part));
  }
  seal(m);
  return m;
}

/// A record circuit whose key, nonce and text are shared: `sending` writes its ciphertext, else
/// there is the key of its tag alone.
std::shared_ptr<const mpc::Program> message_program(size_t size, bool sending, size_t n) {
  mpc::Builder builder;
  const circuits::Text key = circuits::text_of(builder.add_input("key", mpc::InputKind::kDyn, 256));
  const circuits::Text nonce =
      circuits::text_of(builder.add_input("nonce", mpc::InputKind::kDyn, 96));
  circuits::ChaChaRecordWriter writer(builder, {circuits::chacha20_key(key), nonce}, n);
  if (sending && size > 0) {
    const mpc::Bits text =
        builder.add_input("text", mpc::InputKind::kDyn, static_cast<uint32_t>(8 * size));
    writer.add_message(0, circuits::text_of(text));
  } else {
    writer.add_tag_key(0);
  }
  return std::make_shared<const mpc::Program>(mpc::compile(builder.finish()));
}

/// The engines of one member, and its shares of what the dealer deals.
class Member {
 public:
  Member(net::Party& party, Dealer& dealer)
      : party_(party),
        dealer_(dealer),
        source_(dealer.source(party.id())),
        arith_(party, source_),
        engine_(party, source_) {}

  Context context() { return {party_, source_, arith_, engine_, journal_}; }
  prep::Source& source() { return source_; }

  /// Runs the record circuit and gives the tag's object with its key; `ciphertext` if sending.
  std::unique_ptr<Poly1305Tag> start(const Message& m, bool sending, Bytes* ciphertext = nullptr) {
    const size_t size = m.plaintext.size();
    auto tag = std::make_unique<Poly1305Tag>(context(), m.aad.size(), size, std::to_string(m.id));
    const auto program = message_program(size, sending, party_.num_parties());
    std::vector<prep::AuthBits> zero(program->inputs.size());
    tag->bind(*program, 0, zero);
    const auto instance = engine_.prepare(program, std::move(zero), "message");
    boolean::OnlineInputs inputs = empty_inputs(*program);
    const prep::AuthBits key = share(m.key), nonce = share(m.nonce);
    prep::AuthBits text;
    inputs.dyn[program->input_group("key")] = &key;
    inputs.dyn[program->input_group("nonce")] = &nonce;
    if (sending && size > 0) {
      text = share(m.plaintext);
      inputs.dyn[program->input_group("text")] = &text;
    }
    boolean::Outputs outputs = engine_.run(*instance, inputs);
    if (sending && size > 0) {
      *ciphertext = bytes_of_bits(outputs.opened[program->output_group("c_0")]);
    }
    tag->take_key(*program, 0, outputs);
    return tag;
  }

 private:
  prep::AuthBits share(ByteView bytes) {
    return dealer_.share_bits(party_.id(), ++dealt_, bits_of(bytes));
  }

  net::Party& party_;
  Dealer& dealer_;
  prep::Source& source_;
  arith::ArithEngine arith_;
  boolean::Engine engine_;
  MemoryJournal journal_;
  uint64_t dealt_ = 100;
};

class Poly1305TagTest : public ::testing::TestWithParam<size_t> {
 protected:
  const size_t n_ = GetParam();
  PartyId last() const { return static_cast<PartyId>(n_ - 1); }
};
INSTANTIATE_TEST_SUITE_P(Members, Poly1305TagTest, ::testing::Values(2, 3));

TEST_P(Poly1305TagTest, SentRecordHasCiphertextAndTagOfOpenSsl) {
  for (const size_t size : {size_t{1}, size_t{17}, size_t{64}, size_t{300}}) {
    const Message m = message_of(size);
    Dealer dealer(n_);
    const auto run = run_parties(n_, [&](net::Party& party) {
      Member member(party, dealer);
      Bytes ciphertext;
      const auto tag = member.start(m, true, &ciphertext);
      const prep::AuthField share = tag_element(tag->compute(m.aad, ciphertext));
      const Block opened =
          prep::open_field(party, member.source().delta(), share, "test/tag").front();
      return std::make_pair(ciphertext, prep::ghash_bytes(opened));
    });
    for (const auto& outcome : run.outcomes) {
      ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
      EXPECT_EQ(outcome.value->first, m.ciphertext) << size;
      EXPECT_EQ(outcome.value->second, m.tag) << size;
    }
  }
}

// 4.7 with 4.5: a received tag is compared with one that nobody could compute alone.
TEST_P(Poly1305TagTest, ReceivedTagPassesOnlyIfItIsRight) {
  const Message good = message_of(77);
  const auto code = [&](const Message& m, const net::Tamper& tamper = nullptr) {
    Dealer dealer(n_);
    const auto run = run_parties(
        n_,
        [&](net::Party& party) {
          Member member(party, dealer);
          const auto tag = member.start(m, false);
          require_tag(party, member.source().delta(), tag->compute(m.aad, m.ciphertext), m.tag);
          return true;
        },
        tamper);
    return run.outcomes[0].code();
  };
  EXPECT_EQ(code(good), std::nullopt);
  for (const size_t byte : {size_t{0}, size_t{15}}) {
    Message bad = good;
    bad.tag[byte] ^= 0x80;
    EXPECT_EQ(code(bad), AbortCode::kServer);
  }
  for (Bytes Message::*part : {&Message::aad, &Message::ciphertext}) {
    Message bad = good;
    (bad.*part).back() ^= 1;
    EXPECT_EQ(code(bad), AbortCode::kServer);
  }
  // A member that lies about its share of T' is a cheat, no network's fault.
  EXPECT_EQ(code(good, support::flip_bit_of({last(), 0, "tls/open T'", 0, 0}, 3)), AbortCode::kMac);
}

// What was tagged stands in the view of the last circuit: a member that means another ciphertext
// gets no label (n = 2: evaluates nothing), and nobody a share of a tag.
TEST_P(Poly1305TagTest, OtherCiphertextAtOneMemberEndsBeforeTheTag) {
  const Message m = message_of(40);
  Dealer dealer(n_);
  const auto run = run_parties(n_, [&](net::Party& party) {
    Member member(party, dealer);
    const auto tag = member.start(m, false);
    Bytes ciphertext = m.ciphertext;
    if (party.id() == last()) ciphertext[7] ^= 1;
    (void)tag->compute(m.aad, ciphertext);
    return true;
  });
  for (const auto& outcome : run.outcomes) EXPECT_FALSE(outcome.value.has_value());
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpMac);
}
TEST_P(Poly1305TagTest, OtherNameOfTheRecordIsRefusedWhilePrepared) {
  const Message m = message_of(40);
  Dealer dealer(n_);
  const auto run = run_parties(n_, [&](net::Party& party) {
    Member member(party, dealer);
    Message named = m;
    named.id = party.id() == last() ? 1 : 0;
    const auto tag = member.start(named, false);
    (void)tag->compute(m.aad, m.ciphertext);
    return true;
  });
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kDisagreement);
}

// 4.1, 4.7: one tag a (generation, sequence), whatever the second one is asked for.
TEST_P(Poly1305TagTest, SecondTagIsRefused) {
  const Message m = message_of(20);
  Dealer dealer(n_);
  const auto run = run_parties(n_, [&](net::Party& party) {
    Member member(party, dealer);
    const auto tag = member.start(m, false);
    (void)tag->compute(m.aad, m.ciphertext);
    Bytes other = m.ciphertext;
    other[0] ^= 1;
    try {
      (void)tag->compute(m.aad, other);
    } catch (const ProtocolAbort& abort) {
      return abort.code() == AbortCode::kRefusedByRule;
    }
    return false;
  });
  for (const auto& outcome : run.outcomes) EXPECT_TRUE(outcome.value.value_or(false));
  for (const net::MessageId& sent : run.trace) {
    EXPECT_FALSE(sent.label == "arith/poly1305/masked accumulator" && sent.index > 0);
  }
}

// A wrong one-time key share cannot be fed in: <s> is authenticated by the circuit that kept it.
TEST_P(Poly1305TagTest, EveryStepOfTheLastCircuitIsChecked) {
  const Message m = message_of(20);
  const auto code = [&](PartyId at, const net::MessageId& target, size_t byte) {
    Dealer dealer(n_);
    const auto run = run_parties(
        n_,
        [&](net::Party& party) {
          Member member(party, dealer);
          const auto tag = member.start(m, false);
          (void)tag->compute(m.aad, m.ciphertext);
          return true;
        },
        support::flip_bit_of(target, byte));
    return run.outcomes[at].code();
  };
  // The second instance of the run is the tag's, and the one that member 0 evaluates.
  EXPECT_EQ(code(1, {0, 1, "boolean/O3 label proof", 0, 0}, 0), AbortCode::kLabelProof);
  EXPECT_EQ(code(0, {1, 0, "boolean/O4 c-proof", 0, 0}, 0), AbortCode::kCProof);
}

std::vector<Message> wycheproof() {
  std::ifstream in(FLEXROOM_SOURCE_DIR "/tests/vectors/chacha20-poly1305.json");
  std::vector<Message> out;
  for (const auto& row : nlohmann::json::parse(in)) {
    Message m;
    m.id = row[0];
    size_t column = 1;
    for (Bytes* part : {&m.key, &m.nonce, &m.aad, &m.plaintext, &m.ciphertext, &m.tag}) {
      *part = from_hex(row[column++].get<std::string>());
    }
    m.valid = row[7];
    out.push_back(std::move(m));
  }
  return out;
}

/// Every `stride`-th case: the valid ones are sealed and opened, tags that were changed refused.
void run_wycheproof(size_t n, size_t first, size_t stride) {
  const std::vector<Message> all = wycheproof();
  ASSERT_EQ(all.size(), 316u);
  Dealer dealer(n);
  const auto run = run_parties(
      n,
      [&](net::Party& party) {
        Member member(party, dealer);
        size_t done = 0;
        for (size_t k = first; k < all.size(); k += stride, ++done) {
          const Message& m = all[k];
          Bytes ciphertext;
          const auto tag = member.start(m, m.valid, &ciphertext);
          EXPECT_TRUE(!m.valid || ciphertext == m.ciphertext) << m.id;
          const prep::AuthBits bits = tag->compute(m.aad, m.ciphertext);
          bool passed = true;
          try {
            require_tag(party, member.source().delta(), bits, m.tag);
          } catch (const ProtocolAbort& abort) {
            EXPECT_EQ(abort.code(), AbortCode::kServer) << m.id << ": " << abort.what();
            passed = false;
          }
          EXPECT_EQ(passed, m.valid) << m.id;
        }
        return done;
      },
      nullptr, std::chrono::seconds(120));
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
    EXPECT_EQ(*outcome.value, (all.size() - first + stride - 1) / stride);
  }
}

TEST(WycheproofChaCha, SweepOfTwoMembers) { run_wycheproof(2, 0, 1); }
TEST(WycheproofChaCha, SweepOfThreeMembers) {
  run_wycheproof(3, 0, std::getenv("FLEXROOM_LONG") != nullptr ? 1 : 8);
}

}  // namespace
}  // namespace flexroom::agent
