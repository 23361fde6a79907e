// The shop that sells prepaid cards (operations.md (f)), and a reader of PDF that is not ours.
#include "cloud/card_number.h"
#include "cloud/voucher_pdf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/cloud/browser.h"

namespace flexroom::cloud::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kShopHost = "shop.flexroom.example";
constexpr const char* kKey = "00112233445566778899aabbccddeeff";
constexpr const char* kCard = "4111111111111111";

class Shopping : public testing::Test {
 protected:
  Shopping() : story(fixture) {
    story.open_mailbox();
    story.log_in_to_mail();
  }
  Answer order(const std::string& key = kKey, const std::string& card = kCard,
               const std::string& product = "prepaid-50") {
    return story.web.json(kShopHost, "/orders",
                          {{"product", product}, {"card", card}, {"receiver", story.address}},
                          "Idempotency-Key: " + key + "\r\n");
  }
  /// The token in the newest mail of the shop, or "".
  std::string token() {
    const auto list = story.mail("GET", "/messages").json();
    const std::string link = "https://shop.flexroom.example/voucher?token=";
    for (const auto& one : list["hydra:member"]) {
      if (one["from"]["address"] != "orders@shop.flexroom.example") continue;
      const auto intro = one["intro"].get<std::string>();
      const size_t at = intro.find(link);
      return at == std::string::npos ? "" : intro.substr(at + link.size());
    }
    return "";
  }
  Fixture fixture;
  Story story;
};

TEST_F(Shopping, AnOrderIsChargedOnceAndMailedOnceForEachKey) {
  const Answer first = order();
  EXPECT_EQ(first.status, 201);
  EXPECT_EQ(first.at("receiver"), story.address);
  EXPECT_EQ(order().body, first.body);
  EXPECT_EQ(story.admin.count("saw", "charge"), 1u);
  EXPECT_EQ(story.mail("GET", "/messages").json()["hydra:totalItems"], 1);
  // Another order under the same key is none.
  EXPECT_EQ(order(kKey, "4012888888881881").at("error"), "IdempotencyMismatch");
  EXPECT_EQ(order("ffeeddccbbaa99887766554433221100").status, 201);
  EXPECT_EQ(story.admin.count("saw", "charge"), 2u);
}

TEST_F(Shopping, OrdersThatAreNoneAreRefused) {
  EXPECT_EQ(order(kKey, "4111111111111112").at("error"), "BadCard");
  EXPECT_EQ(order(kKey, "411111111111111x").at("error"), "BadCard");
  EXPECT_EQ(order(kKey, kCard, "prepaid-51").at("error"), "NoSuchProduct");
  EXPECT_EQ(order("short").at("error"), "Malformed");
  EXPECT_EQ(order(std::string(32, 'A')).at("error"), "Malformed");
  EXPECT_EQ(story.web.get(kShopHost, "/orders").status, 404);
  EXPECT_EQ(story.web.get(kShopHost, "/voucher?token=x").at("error"), "NoSuchVoucher");
  EXPECT_EQ(story.web.get(kShopHost, "/voucher").at("error"), "Malformed");
  EXPECT_EQ(story.admin.count("saw", "charge"), 0u);
}

TEST_F(Shopping, TheLinkAnswersAgainWithTheSameCardInBothForms) {
  order();
  const std::string link = token();
  ASSERT_EQ(link.size(), 32u);
  const auto card = story.web.get(kShopHost, "/voucher?token=" + link).json()["cards"][0];
  const std::string number = card["number"];
  EXPECT_NO_THROW(check_card_number(number));
  EXPECT_EQ(number, story.admin.last("gave", "card number"));
  EXPECT_EQ(story.web.get(kShopHost, "/voucher?token=" + link).json()["cards"][0], card);
  const Answer pdf = story.web.get(kShopHost, "/voucher.pdf?token=" + link);
  EXPECT_EQ(pdf.header("content-type"), "application/pdf");
  EXPECT_THAT(pdf.body,
              HasSubstr("(Card number: " + number.substr(0, 4) + " " + number.substr(4, 4) + " " +
                        number.substr(8, 4) + " " + number.substr(12) + ") Tj"));
  EXPECT_LE(pdf.body.size(), 20480u);  // what the flow reads
  // What the shop sells, the sign-up takes.
  story.verify_address();
  story.complete();
  story.info();
  EXPECT_EQ(story.charge(kKey, number).status, 200);
}

TEST_F(Shopping, ALinkMayEndAfterItsFirstAnswer) {
  story.admin.post("/settings", {{"voucher_answers", 1}});
  order();
  const std::string link = token();
  EXPECT_EQ(story.web.get(kShopHost, "/voucher?token=" + link).status, 200);
  EXPECT_EQ(story.web.get(kShopHost, "/voucher?token=" + link).status, 410);
  EXPECT_EQ(story.web.get(kShopHost, "/voucher.pdf?token=" + link).status, 410);
}

TEST_F(Shopping, ADeclinedCardIsDeclinedAgainAndNothingIsSold) {
  story.admin.post("/settings", {{"refused_cards", 1}});
  const Answer refused = order();
  EXPECT_EQ(refused.status, 402);
  EXPECT_THAT(refused.at("message"), HasSubstr(kCard));
  EXPECT_EQ(order().status, 402);
  EXPECT_EQ(story.admin.count("saw", "charge"), 0u);
  EXPECT_EQ(token(), "");
  EXPECT_EQ(order("ffeeddccbbaa99887766554433221100").status, 201);
}

TEST_F(Shopping, MailsOfTheShopAreLostLateAndAmongStrangers) {
  story.admin.post("/settings", {{"lost_mails", 1}, {"strangers", 2}});
  order();
  EXPECT_EQ(token(), "");
  EXPECT_EQ(story.mail("GET", "/messages").json()["hydra:totalItems"], 2);
  story.admin.post("/settings", {{"mail_delay_s", 3600}});
  order("ffeeddccbbaa99887766554433221100");
  EXPECT_EQ(token(), "");
}

TEST(CardNumbers, MadeOnesHaveTheirPrefixAndCheckDigit) {
  for (int i = 0; i < 200; ++i) {
    const std::string number = new_card_number("400000");
    EXPECT_TRUE(number.starts_with("400000"));
    EXPECT_NO_THROW(check_card_number(number)) << number;
    std::string wrong = number;
    wrong[15] = wrong[15] == '9' ? '0' : static_cast<char>(wrong[15] + 1);
    EXPECT_THROW(check_card_number(wrong), ApiError);
  }
}

/// Reads the cross-reference table and every object by it, and the page with Python's zlib.
std::string read_by_python(const Fixture& fixture, const std::string& pdf) {
  std::ofstream(fixture.dir / "v.pdf", std::ios::binary) << pdf;
  std::ofstream(fixture.dir / "read.py") << R"(
import re, sys, zlib
data = open(sys.argv[1], 'rb').read()
assert data.startswith(b'%PDF-1.4\n') and data.endswith(b'%%EOF\n')
start = int(re.search(rb'startxref\n(\d+)\n', data).group(1))
table = data[start:].split(b'\n')
assert table[0] == b'xref'
count = int(table[1].split()[1])
for number in range(1, count):
    entry = table[2 + number] + b'\n'
    assert len(entry) == 20, entry
    at = int(entry[:10])
    assert data[at:].startswith(b'%d 0 obj\n' % number), number
at = data.index(b'/Length ')
length = int(re.match(rb'/Length (\d+)', data[at:]).group(1))
begin = data.index(b'stream\n', at) + 7
page = data[begin:begin + length]
assert data[begin + length:].startswith(b'\nendstream')
if b'/FlateDecode' in data:
    page = zlib.decompress(page)
print(b' | '.join(re.findall(rb'\(([^)]*)\) Tj', page)).decode())
)";
  return run("/usr/bin/python3 " + (fixture.dir / "read.py").string() + " " +
             (fixture.dir / "v.pdf").string());
}

TEST(VoucherPdf, AnIndependentReaderFindsTheSameTextCompressedOrNot) {
  const Fixture fixture;
  const Voucher voucher{"4000001234567899", "12/30", "123"};
  const std::string words =
      "Your prepaid card | Card number: 4000 0012 3456 7899 | Valid until: 12/30 | Code: 123\n";
  EXPECT_EQ(read_by_python(fixture, voucher_pdf(voucher, false)), words);
  const std::string compressed = voucher_pdf(voucher, true);
  EXPECT_EQ(read_by_python(fixture, compressed), words);
  EXPECT_THAT(compressed, HasSubstr("/FlateDecode"));
  EXPECT_THAT(compressed, Not(HasSubstr("Card number")));
}

TEST(VoucherPdf, AllBytesSurviveTheZlibStream) {
  const Fixture fixture;
  std::string all;
  for (int i = 0; i < 512; ++i) all += static_cast<char>(i & 0xff);
  std::ofstream(fixture.dir / "all.z", std::ios::binary) << zlib_stream(all);
  EXPECT_EQ(run("/usr/bin/python3 -c \"import zlib; print(zlib.decompress(open('" +
                (fixture.dir / "all.z").string() + "', 'rb').read()) == bytes(range(256)) * 2)\""),
            "True\n");
}

}  // namespace
}  // namespace flexroom::cloud::test
