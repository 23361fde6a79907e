// JWE of a shared secret end to end in the engines (operations.md §(e), tls-in-mpc.md §5.9), opened
// by OpenSSL; and a corrupted member against each check (tls-in-mpc.md §8, attacks 35, 61).
#include "agent/jwe_attempt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "agent/memory_journal.h"
#include "prep/memory_safety.h"
#include "prep/open.h"
#include "prep/session_hello.h"
#include "prep/session_prep.h"
#include "support/dealer.h"
#include "support/jwe_vectors.h"
#include "support/parties.h"

namespace flexroom::agent {
namespace jwe_attempt_test {

using support::Dealer;
using support::run_parties;

const nlohmann::json& vectors() {
  static const auto made = support::jwe_vectors(FLEXROOM_SOURCE_DIR);
  return made;
}
std::string modulus(const std::string& id) { return vectors()["keys"][id]["n"]; }
support::JweService service(const std::string& id) {
  return support::JweService(vectors()["keys"][id]["private_pem"]);
}

std::vector<uint8_t> bits_of(std::string_view text) {
  std::vector<uint8_t> bits;
  for (const char c : text) {
    for (unsigned b = 0; b < 8; ++b) bits.push_back(static_cast<uint8_t>(uint8_t(c) >> b & 1));
  }
  return bits;
}

JweRequest request_for(const std::string& key, std::string_view alg, std::string_view enc,
                       size_t secret_bytes) {
  const JweMethod method = JweMethod::named(alg, enc);
  const JweKey checked = JweKey::checked(modulus(key), "AQAB", "k-" + key);
  JweRequest request{method, checked.rsa, jwe_header(method, checked.kid), secret_bytes, {}};
  request.request_id[0] = 7;
  return request;
}

/// What a member has besides its source.
struct Member {
  Member(net::Party& p, prep::Source& s) : party(p), source(s), arith(p, s), engine(p, s) {}
  Context context() { return {party, source, arith, engine, journal}; }

  net::Party& party;
  prep::Source& source;
  arith::ArithEngine arith;
  boolean::Engine engine;
  MemoryJournal journal;
};

/// The whole text, its shares opened for the test.
std::string revealed(Member& member, const JweText& text) {
  const auto bits = prep::open_bits(member.party, member.source.delta(), text.bits, "test/reveal");
  EXPECT_EQ(bits.size(), text.secret_bits.size());
  Bytes out = text.public_text;
  for (size_t t = 0; t < bits.size(); ++t) {
    const uint32_t at = text.secret_bits[t];
    EXPECT_EQ(out[at / 8] >> (at % 8) & 1, 0);
    out[at / 8] |= static_cast<uint8_t>(bits[t] << (at % 8));
  }
  return to_text(out);
}

std::string make_jwe(Member& member, Dealer& dealer, JweRequest request, std::string_view secret) {
  const prep::AuthBits shared = dealer.share_bits(member.party.id(), 1, bits_of(secret));
  const size_t bytes = request.text_bytes();
  const Digest id = request.request_id;
  JweAttempt attempt(member.context(), std::move(request), shared);
  attempt.encrypt();
  const std::string out = revealed(member, attempt.text(id));
  EXPECT_EQ(out.size(), bytes);
  return out;
}

std::string part(const std::string& jwe, size_t index) {
  size_t at = 0;
  for (size_t k = 0; k < index; ++k) at = jwe.find('.', at) + 1;
  return jwe.substr(at, jwe.find('.', at) - at);
}

void opens(size_t n, const std::string& key, std::string_view alg, std::string_view enc,
           const std::string& secret) {
  Dealer dealer(n);
  const auto run = run_parties(
      n,
      [&](net::Party& p) {
        Member member(p, dealer.source(p.id()));
        return make_jwe(member, dealer, request_for(key, alg, enc, secret.size()), secret);
      },
      nullptr, std::chrono::seconds(120));
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.value) << outcome.abort->what();
    EXPECT_EQ(*outcome.value, *run.outcomes[0].value);
  }
  const std::string& jwe = *run.outcomes[0].value;
  EXPECT_EQ(service(key).open(jwe), secret) << jwe;
  EXPECT_EQ(to_text(*base64url_decode(part(jwe, 0))), "{\"alg\":\"" + std::string(alg) +
                                                          "\",\"enc\":\"" + std::string(enc) +
                                                          "\",\"kid\":\"k-" + key + "\"}");
  // For libraries that are held against it by hand.
  if (const char* file = std::getenv("FLEXROOM_JWE_OUT")) {
    std::ofstream(file, std::ios::app) << key << " " << jwe << " " << secret << "\n";
  }
}

const std::string kSecret = "joint-Passw0rd-of-24-chr";

TEST(JweAttempt, OpensslReadsWhatTwoMembersEncrypt) {
  opens(2, "2048", "RSA-OAEP-256", "A256GCM", kSecret);
  opens(2, "2048", "RSA-OAEP-256", "A128GCM", "x");
  opens(2, "2048", "RSA-OAEP", "A256GCM", std::string(16, 'b'));
  opens(2, "2048", "RSA-OAEP", "A128GCM", std::string(33, 'c'));
}

TEST(JweAttempt, OpensslReadsWhatThreeMembersEncrypt) {
  opens(3, "2048", "RSA-OAEP-256", "A256GCM", kSecret);
  opens(3, "2048", "RSA-OAEP", "A128GCM", "17 bytes of text.");
}

TEST(JweAttempt, OpensslReadsUnderLongerKeys) {
  opens(2, "3072", "RSA-OAEP-256", "A256GCM", kSecret);
  opens(2, "4096", "RSA-OAEP", "A128GCM", kSecret);
  opens(3, "4096", "RSA-OAEP-256", "A256GCM", kSecret);
}

/// Hands out given bits first where random ones are asked for, in the order of the attempt: the
/// content encryption key, then the seed.
class FixedBits final : public prep::Source {
 public:
  FixedBits(prep::Source& source, Dealer& dealer, PartyId self, std::vector<Bytes> values)
      : source_(source), dealer_(dealer), self_(self), values_(std::move(values)) {}
  const Block& delta() const override { return source_.delta(); }
  prep::AuthBits random_bits(size_t count) override {
    if (next_ < values_.size() && count == 8 * values_[next_].size()) {
      const Bytes& value = values_[next_++];
      return dealer_.share_bits(self_, 100 + next_, bits_of(as_text(value)));
    }
    return source_.random_bits(count);
  }
  prep::AuthBits owned_bits(PartyId owner, size_t count) override {
    return source_.owned_bits(owner, count);
  }
  prep::AuthBits owned_bits_of(PartyId owner, size_t count,
                               std::span<const uint8_t> bits) override {
    return source_.owned_bits_of(owner, count, bits);
  }
  prep::AndTriples and_triples(size_t count) override { return source_.and_triples(count); }
  prep::VecTriple vec_triple(size_t count) override { return source_.vec_triple(count); }
  prep::Powers powers(size_t max_power) override { return source_.powers(max_power); }
  RotSender rot_send(PartyId receiver, size_t count) override {
    return source_.rot_send(receiver, count);
  }
  RotReceiver rot_receive(PartyId sender, size_t count, std::span<const uint8_t> choices) override {
    return source_.rot_receive(sender, count, choices);
  }
  size_t used() const { return next_; }

 private:
  prep::Source& source_;
  Dealer& dealer_;
  const PartyId self_;
  const std::vector<Bytes> values_;
  size_t next_ = 0;
};

// With the content encryption key and the seed of a vector, the encrypted key is the vector's; the
// initialisation vector is tossed, so that the rest is compared by opening it with that key.
TEST(JweAttempt, EncryptsTheKeyOfAVectorToTheVectorsBytes) {
  for (const std::string name : {"oaep256-a256gcm", "oaep1-a128gcm", "header-as-received"}) {
    const auto& cases = vectors()["cases"];
    const auto& one =
        *std::find_if(cases.begin(), cases.end(), [&](const auto& c) { return c["name"] == name; });
    const std::string secret = one["secret"];
    Dealer dealer(2);
    const auto run = run_parties(2, [&](net::Party& p) {
      FixedBits source(
          dealer.source(p.id()), dealer, p.id(),
          {from_hex(one["cek"].get<std::string>()), from_hex(one["seed"].get<std::string>())});
      Member member(p, source);
      JweRequest request = request_for(one["key"], one["alg"].get<std::string>(),
                                       one["enc"].get<std::string>(), secret.size());
      request.header = one["header"];
      const std::string made = make_jwe(member, dealer, request, secret);
      EXPECT_EQ(source.used(), 2u);
      return made;
    });
    ASSERT_TRUE(run.outcomes[0].value) << run.outcomes[0].abort->what();
    const std::string& made = *run.outcomes[0].value;
    const std::string want = one["jwe"];
    EXPECT_EQ(part(made, 0), part(want, 0)) << name;
    EXPECT_EQ(part(made, 1), part(want, 1)) << name;
    EXPECT_NE(part(made, 2), part(want, 2)) << name;
    EXPECT_EQ(service(one["key"]).open(made), secret) << name;
  }
}

// The real preprocessing below: COT, triples with their checks, oblivious transfers.
TEST(JweAttempt, RunsOnTheProductsPreprocessing) {
  Dealer dealer(2);
  const auto run = run_parties(
      2,
      [&](net::Party& p) {
        prep::EpochParameters parameters;
        parameters.identities = {to_bytes("member 0"), to_bytes("member 1")};
        const prep::EpochState epoch = prep::setup_epoch(p, parameters);
        prep::session_hello(p, epoch, prep::kProtocol);
        prep::MemorySafety safety;
        prep::SessionPrep source(p, epoch, safety);
        Member member(p, source);
        // A secret that nobody knows; opened at the end to compare.
        const prep::AuthBits secret = source.random_bits(8 * 24);
        JweRequest request = request_for("2048", "RSA-OAEP-256", "A256GCM", 24);
        const Digest id = request.request_id;
        JweAttempt attempt(member.context(), request, secret);
        attempt.encrypt();
        const std::string jwe = revealed(member, attempt.text(id));
        const auto bits = prep::open_bits(p, source.delta(), secret, "test/secret");
        std::string plain(24, 0);
        for (size_t t = 0; t < bits.size(); ++t) {
          plain[t / 8] = static_cast<char>(plain[t / 8] | bits[t] << (t % 8));
        }
        EXPECT_EQ(service("2048").open(jwe), plain);
        return attempt.num_ands();
      },
      nullptr, std::chrono::seconds(300));
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.value) << outcome.abort->what();
    EXPECT_EQ(*outcome.value,
              jwe_num_ands(request_for("2048", "RSA-OAEP-256", "A256GCM", 24).shape(2)));
  }
}

// --- single use ------------------------------------------------------------------------------

template <typename Act>
AbortCode refused(Act act) {
  try {
    act();
  } catch (const ProtocolAbort& abort) {
    return abort.code();
  }
  return AbortCode::kCancelled;
}

// Attack 61 (5.9(2)): content encryption key, seed and factors serve one request id, once.
TEST(JweAttempt, ServesOneRequestOnce) {
  Dealer dealer(2);
  const auto run = run_parties(2, [&](net::Party& p) {
    Member member(p, dealer.source(p.id()));
    const prep::AuthBits secret = dealer.share_bits(p.id(), 1, bits_of(kSecret));
    const JweRequest request = request_for("2048", "RSA-OAEP", "A128GCM", kSecret.size());
    const Digest id = request.request_id;
    Digest other = id;
    other[31] = 1;

    JweAttempt first(member.context(), request, secret);
    EXPECT_EQ(refused([&] { first.text(id); }), AbortCode::kRefusedByRule);
    first.encrypt();
    EXPECT_EQ(refused([&] { first.encrypt(); }), AbortCode::kRefusedByRule);
    EXPECT_EQ(refused([&] { first.text(other); }), AbortCode::kRefusedByRule);
    const std::string one = revealed(member, first.text(id));
    JweAttempt moved = std::move(first);
    EXPECT_EQ(refused([&] { first.text(id); }), AbortCode::kRefusedByRule);
    moved.retire();  // A3
    EXPECT_EQ(refused([&] { moved.text(id); }), AbortCode::kRefusedByRule);
    EXPECT_EQ(refused([&] { moved.encrypt(); }), AbortCode::kRefusedByRule);

    // Another attempt has a key, seed and initialisation vector of its own.
    JweRequest next = request;
    next.request_id = other;
    JweAttempt second(member.context(), next, secret);
    second.encrypt();
    const std::string two = revealed(member, second.text(other));
    for (size_t k = 1; k < 5; ++k) EXPECT_NE(part(one, k), part(two, k));
    EXPECT_EQ(service("2048").open(one), kSecret);
    EXPECT_EQ(service("2048").open(two), kSecret);

    // The same id again: refused before a power leaves.
    const size_t sent = p.next_counter("com rsa power");
    JweAttempt third(member.context(), request, secret);
    EXPECT_EQ(refused([&] { third.encrypt(); }), AbortCode::kRefusedByRule);
    EXPECT_EQ(p.next_counter("com rsa power"), sent + 1);
    EXPECT_EQ(refused([&] { third.text(id); }), AbortCode::kRefusedByRule);
    return true;
  });
  for (const auto& outcome : run.outcomes) ASSERT_TRUE(outcome.value) << outcome.abort->what();
}

// --- a corrupted member ----------------------------------------------------------------------

class JweAttack : public testing::TestWithParam<size_t> {
 protected:
  const size_t n_ = GetParam();

  auto run(const std::function<void(PartyId, JweRequest&)>& change,
           const net::Tamper& tamper = nullptr) const {
    Dealer dealer(n_);
    return run_parties(
        n_,
        [&](net::Party& p) {
          Member member(p, dealer.source(p.id()));
          JweRequest request = request_for("2048", "RSA-OAEP", "A128GCM", kSecret.size());
          if (change) change(p.id(), request);
          return make_jwe(member, dealer, request, kSecret);
        },
        tamper, std::chrono::seconds(120));
  }
};
INSTANTIATE_TEST_SUITE_P(Parties, JweAttack, testing::Values(2, 3));

TEST_P(JweAttack, MembersThatMeanAnotherJweRefuse) {
  const std::vector<std::function<void(JweRequest&)>> changes = {
      [](JweRequest& r) { r.key = request_for("cases", "RSA-OAEP", "A128GCM", 1).key; },
      [](JweRequest& r) { r.header[r.header.size() - 3] ^= 1; },
      [](JweRequest& r) { r.request_id[5] ^= 1; },
      [](JweRequest& r) { r.method = JweMethod::named("RSA-OAEP-256", "A128GCM"); },
      [](JweRequest& r) { r.method = JweMethod::named("RSA-OAEP", "A256GCM"); },
  };
  for (const auto& change : changes) {
    const auto result = run([&](PartyId self, JweRequest& r) {
      if (self + 1 == n_) change(r);
    });
    EXPECT_EQ(result.outcomes[0].code(), AbortCode::kDisagreement);
    EXPECT_EQ(result.outcomes[0].abort->peer(), std::optional<PartyId>(n_ - 1));
  }
}

TEST_P(JweAttack, AlteredSharesOfBlocksAndTagAbort) {
  for (const std::string label : {"jwe/tag products", "jwe/tag"}) {
    const auto result = run(nullptr, [&](const net::MessageId& m, Bytes& payload) {
      if (m.sender + 1 == n_ && m.receiver == 0 && m.label == label) payload[3] ^= 1;
    });
    EXPECT_EQ(result.outcomes[0].code(), AbortCode::kMac) << label;
  }
}

/// Publishes the power of another element than the liar's factor, with a commitment to it.
class OtherPower {
 public:
  void attach(net::Party& party) {
    party.set_tamper([this, &party](const net::MessageId& m, Bytes& payload) {
      if (m.label == "arith/rsa/commit") {
        if (opening_.empty()) {
          opening_.assign(32 + 256, 0);
          opening_[32 + 255] = 2;  // a unit; s_i = 2 for no factor anybody knows
        }
        const Digest d = RandomOracle("com", party.scope(), 0, party.id())
                             .field("arith/rsa/commit")
                             .field(ByteView(opening_).subspan(32))
                             .field(ByteView(opening_).first(32))
                             .digest();
        payload.assign(d.begin(), d.end());
      } else if (m.label == "arith/rsa/open") {
        payload = opening_;
      }
    });
  }

 private:
  Bytes opening_;
};

// (e) 2, 5.9(4): no member may choose its power with c in sight. From the start of encrypt() to the
// last power nothing else leaves, and what opens c does.
TEST_P(JweAttack, ThePowersAreFixedBeforeTheBlockIsOpened) {
  Dealer dealer(n_);
  const auto run = run_parties(
      n_,
      [&](net::Party& p) {
        Member member(p, dealer.source(p.id()));
        const prep::AuthBits secret = dealer.share_bits(p.id(), 1, bits_of(kSecret));
        JweAttempt attempt(member.context(),
                           request_for("2048", "RSA-OAEP", "A128GCM", kSecret.size()), secret);
        p.exchange("test/encrypt", Bytes{1});
        attempt.encrypt();
        return true;
      },
      nullptr, std::chrono::seconds(120));
  for (PartyId i = 0; i < n_; ++i) {
    ASSERT_TRUE(run.outcomes[i].value) << run.outcomes[i].abort->what();
    std::vector<std::string> labels;
    for (const net::MessageId& m : run.trace) {
      if (m.sender == i) labels.push_back(m.label);
    }
    const auto start = std::find(labels.rbegin(), labels.rend(), "test/encrypt").base();
    const auto fixed = std::find(labels.rbegin(), labels.rend(), "arith/rsa/open").base();
    ASSERT_LT(start, fixed);
    for (auto at = start; at < fixed; ++at) {
      EXPECT_TRUE(at->starts_with("arith/rsa/commit") || *at == "arith/rsa/open") << *at;
    }
    EXPECT_EQ(std::count(start, fixed, "arith/rsa/open"), static_cast<ptrdiff_t>(n_ - 1));
    EXPECT_NE(std::find(fixed, labels.end(), "boolean/outputs"), labels.end());
  }
}

// Attack 35: nothing is found out in MPC, nothing of the content encryption key is opened, and the
// service cannot decrypt: a failed login.
TEST(JweAttempt, AWrongPowerCostsAFailedLogin) {
  Dealer dealer(2);
  OtherPower liar;
  const auto run = run_parties(2, [&](net::Party& p) -> std::string {
    Member member(p, dealer.source(p.id()));
    if (p.id() == 1) liar.attach(p);
    try {
      return make_jwe(member, dealer,
                      request_for("2048", "RSA-OAEP-256", "A256GCM", kSecret.size()), kSecret);
    } catch (const ProtocolAbort&) {
      EXPECT_EQ(p.id(), 1u);  // it computes with its own power alone
      throw;
    }
  });
  ASSERT_TRUE(run.outcomes[0].value) << run.outcomes[0].abort->what();
  const std::string& jwe = *run.outcomes[0].value;
  const Bytes encrypted = *base64url_decode(part(jwe, 1));
  EXPECT_FALSE(service("2048").open_key(encrypted, true));
  EXPECT_FALSE(service("2048").open(jwe));
}

// A cheat in the blinding ends the session's arithmetic, tokens too (§0.3(10)), and the attempt.
TEST(JweAttempt, ACheatEndsTheArithmeticEngineAndTheAttempt) {
  Dealer dealer(2);
  const auto run = run_parties(
      2,
      [&](net::Party& p) {
        Member member(p, dealer.source(p.id()));
        const prep::AuthBits secret = dealer.share_bits(p.id(), 1, bits_of(kSecret));
        const JweRequest request = request_for("2048", "RSA-OAEP", "A128GCM", kSecret.size());
        JweAttempt attempt(member.context(), request, secret);
        const AbortCode code = refused([&] { attempt.encrypt(); });
        if (p.id() == 0) {
          EXPECT_EQ(code, AbortCode::kFpMac);
          EXPECT_EQ(refused([&] { attempt.text(request.request_id); }), AbortCode::kRefusedByRule);
          EXPECT_EQ(refused([&] { member.arith.make_tokens(NamedGroup::kX25519, 1); }),
                    AbortCode::kRefusedByRule);
          p.abort();
        }
        return true;
      },
      [](const net::MessageId& m, Bytes& payload) {
        if (m.sender == 1 && m.label == "arith/rsa/w") payload[9] ^= 1;
      });
  ASSERT_TRUE(run.outcomes[0].value) << run.outcomes[0].abort->what();
}

// --- public parts ----------------------------------------------------------------------------

TEST(JweKey, IsReadStrictly) {
  const std::string n = modulus("2048");
  EXPECT_EQ(JweKey::checked(n, "AQAB", "a").kid, "a");
  const auto problem = [](const std::string& modulus_text, const std::string& e,
                          const std::string& kid) -> std::string {
    try {
      JweKey::checked(modulus_text, e, kid);
    } catch (const ProtocolAbort& abort) {
      EXPECT_EQ(abort.code(), AbortCode::kServer);
      return abort.detail();
    }
    return "";
  };
  const std::string no_n = "member \"n\" of the key is no integer in base64url";
  const std::string no_e = "member \"e\" of the key is no integer in base64url";
  const std::string no_kid = "member \"kid\" of the key is not 1 to 128 printable characters";
  EXPECT_EQ(problem(n + "=", "AQAB", "a"), no_n);
  EXPECT_EQ(problem("AAAA" + n, "AQAB", "a"), no_n);  // leading zeros
  EXPECT_EQ(problem("", "AQAB", "a"), no_n);
  EXPECT_EQ(problem(std::string(2000, 'B'), "AQAB", "a"), no_n);
  EXPECT_EQ(problem(n, "AAEAAQ", "a"), no_e);
  EXPECT_EQ(problem(n, "", "a"), no_e);
  EXPECT_EQ(problem(n, "Aw", "a"), "the exponent is not 65537");
  EXPECT_EQ(problem(n.substr(4), "AQAB", "a"),
            "the modulus is not of exactly 2048, 3072 or 4096 bits");
  EXPECT_EQ(problem(n, "AQAB", ""), no_kid);
  EXPECT_EQ(problem(n, "AQAB", std::string(129, 'k')), no_kid);
  EXPECT_EQ(problem(n, "AQAB", "k\n"), no_kid);
}

TEST(JweMethod, NamesFourWaysAndNoOther) {
  for (const std::string alg : {"RSA-OAEP", "RSA-OAEP-256"}) {
    for (const std::string enc : {"A128GCM", "A256GCM"}) {
      const JweMethod method = JweMethod::named(alg, enc);
      EXPECT_EQ(method.algorithm_name(), alg);
      EXPECT_EQ(method.encryption_name(), enc);
    }
  }
  EXPECT_THROW(JweMethod::named("RSA1_5", "A256GCM"), InputError);
  EXPECT_THROW(JweMethod::named("RSA-OAEP-512", "A256GCM"), InputError);
  EXPECT_THROW(JweMethod::named("RSA-OAEP", "A128CBC-HS256"), InputError);
  EXPECT_THROW(JweMethod::named("RSA-OAEP", ""), InputError);
}

TEST(JweRequest, HeaderEscapesAndBoundsHold) {
  EXPECT_EQ(jwe_header(JweMethod::named("RSA-OAEP", "A128GCM"), "a\"\\b"),
            R"({"alg":"RSA-OAEP","enc":"A128GCM","kid":"a\"\\b"})");
  JweRequest request = request_for("2048", "RSA-OAEP", "A128GCM", 1);
  request.require_bounds();
  for (const size_t bytes : {size_t{0}, JweRequest::kMaxSecretBytes + 1}) {
    JweRequest other = request;
    other.secret_bytes = bytes;
    EXPECT_THROW(other.require_bounds(), InputError);
  }
  for (const size_t bytes : {size_t{0}, JweRequest::kMaxHeaderBytes + 1}) {
    JweRequest other = request;
    other.header.assign(bytes, ' ');
    EXPECT_THROW(other.require_bounds(), InputError);
  }
  request.request_id = {};
  EXPECT_THROW(request.require_bounds(), InputError);
}

}  // namespace jwe_attempt_test
}  // namespace flexroom::agent
