#include "agent/decoded_values.h"

#include <gtest/gtest.h>

#include "prep/open.h"
#include "support/dealer.h"
#include "support/parties.h"

// operations.md (a) `decode`. Real members and the real engine above a dealer.

namespace flexroom::agent {
namespace {

/// A value that all know, as if all had shares of it.
prep::AuthBits constant(const net::Party& party, prep::Source& source, std::string_view text) {
  prep::AuthBits out(party.id(), party.num_parties(), 8 * text.size());
  std::vector<uint8_t> bits;
  for (const char c : text) {
    for (unsigned b = 0; b < 8; ++b) bits.push_back(static_cast<uint8_t>(c >> b & 1));
  }
  prep::add_constants(out, bits, source.delta());
  return out;
}

/// What each member finds once all open it, or "none".
std::vector<std::string> decoded(size_t n,
                                 const std::vector<std::pair<TextCode, std::string>>& of) {
  support::Dealer dealer(n, 5);
  const auto run = support::run_parties(n, [&](net::Party& party) {
    prep::Source& source = dealer.source(party.id());
    boolean::Engine engine(party, source);
    std::vector<prep::AuthBits> texts;
    for (const auto& [code, text] : of) texts.push_back(constant(party, source, text));
    std::vector<EncodedValue> values;
    for (size_t k = 0; k < of.size(); ++k) values.push_back({of[k].first, &texts[k]});
    const auto found = decode_values(party, engine, values);
    if (!found) return std::string("none");
    std::string out;
    for (const prep::AuthBits& value : *found) {
      EXPECT_TRUE(value.pinned(0, value.size()));
      const auto bits = prep::open_bits(party, source.delta(), value, "test/open");
      std::string bytes(bits.size() / 8, '\0');
      for (size_t t = 0; t < bits.size(); ++t) {
        bytes[t / 8] = static_cast<char>(bytes[t / 8] | bits[t] << (t % 8));
      }
      out += (out.empty() ? "" : "|") + bytes;
    }
    return out;
  });
  std::vector<std::string> out;
  for (const auto& member : run.outcomes) {
    EXPECT_TRUE(member.value.has_value()) << (member.abort ? member.abort->what() : "");
    out.push_back(member.value.value_or("aborted"));
  }
  return out;
}

class DecodedValues : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Members, DecodedValues, ::testing::Values(2, 3));

TEST_P(DecodedValues, SeveralInOneInstance) {
  for (const std::string& found : decoded(GetParam(), {{TextCode::kBase32, "JBSWY3DPEHPK3PXP"},
                                                       {TextCode::kHex, "6A6b"},
                                                       {TextCode::kBase64, "Zm9vYg=="},
                                                       {TextCode::kBase64, "Zm9vYmE"}})) {
    EXPECT_EQ(found, "Hello!\xde\xad\xbe\xef|jk|foob|fooba");
  }
}

TEST_P(DecodedValues, NothingOfATextThatIsNone) {
  for (const std::pair<TextCode, std::string>& one :
       {std::pair{TextCode::kHex, std::string("6A6")},
        std::pair{TextCode::kBase64, std::string("Zm=v")},
        std::pair{TextCode::kBase64, std::string("Zm9vYm=")},
        std::pair{TextCode::kBase32, std::string("JBS")}}) {
    for (const std::string& found : decoded(GetParam(), {one})) {
      EXPECT_EQ(found, "none") << one.second;
    }
  }
}

TEST(DecodeAnds, AreThoseOfTheLongestTextThatCanCome) {
  EXPECT_GT(decode_ands(TextCode::kBase32, 64), 0u);
  EXPECT_EQ(decode_ands(TextCode::kHex, 5), decode_ands(TextCode::kHex, 4));
  EXPECT_EQ(decode_ands(TextCode::kHex, 1), 0u);
}

}  // namespace
}  // namespace flexroom::agent
