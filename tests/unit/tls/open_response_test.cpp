#include "tls/open_response.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/tls/fake_server.h"

namespace flexroom::tls {
namespace {

using testing::abort_of;
using ::testing::HasSubstr;

class Writer5 {
 public:
  const Digest s_ap = testing::filled(0x5a);
  FrozenResponse frozen;

  Writer5& add(ContentType type, ByteView content) {
    return add_bytes(aead_seal(keys_, seq_++, type, content));
  }
  Writer5& data(std::string_view text) {
    return add(ContentType::kApplicationData, as_bytes(text));
  }
  Writer5& close() { return add(ContentType::kAlert, Bytes{1, 0}); }
  Writer5& message(HandshakeType type, const Bytes& body) {
    return add(ContentType::kHandshake, handshake_message(type, body));
  }
  Writer5& key_update(uint8_t requested) {
    message(HandshakeType::kKeyUpdate, {requested});
    secret_ = next_traffic_secret(secret_);
    keys_ = traffic_keys(secret_);
    seq_ = 0;
    return *this;
  }
  Writer5& skip_sequence() {
    ++seq_;
    return *this;
  }
  Writer5& add_bytes(const Bytes& record) {
    for (RawRecord& one : reader_.feed(record)) frozen.records.push_back(std::move(one));
    return *this;
  }
  OpenedResponse open() const { return open_response(frozen, s_ap); }
  std::string refusal() const {
    return abort_of([&] { open(); });
  }

 private:
  Digest secret_ = s_ap;
  TrafficKeys keys_ = traffic_keys(s_ap);
  uint64_t seq_ = 0;
  RecordReader reader_;
};

TEST(OpenResponse, GivesTheBytesAcrossTicketsKeyUpdatesAndPadding) {
  Writer5 w;
  w.message(HandshakeType::kNewSessionTicket, Bytes(40)).data("one ").key_update(1).data("two ");
  w.data("").key_update(0).data("three").close();
  const OpenedResponse opened = w.open();
  EXPECT_EQ(as_text(opened.application_data), "one two three");
  EXPECT_TRUE(opened.close_notify);
  EXPECT_EQ(opened.tickets, 1u);
  EXPECT_EQ(opened.key_updates, 2u);
  EXPECT_FALSE(opened.unknown_outcome);
}

TEST(OpenResponse, NoFlippedMissingDoubledOrSwappedRecordIsAccepted) {
  Writer5 w;
  w.data("one").data("two").data("three").close();
  const auto good = w.frozen.records;
  for (size_t r = 0; r < good.size(); ++r) {
    for (size_t at = 0; at < good[r].payload.size(); ++at) {
      w.frozen.records = good;
      w.frozen.records[r].payload[at] ^= 0x10;
      EXPECT_THAT(w.refusal(), HasSubstr("does not verify"));
    }
    w.frozen.records = good;
    w.frozen.records[r].header[4] ^= 1;  // wrong length in the AAD
    EXPECT_THAT(w.refusal(), HasSubstr("does not verify"));
    w.frozen.records = good;
    w.frozen.records.insert(w.frozen.records.begin() + static_cast<std::ptrdiff_t>(r), good[r]);
    EXPECT_NE(w.refusal(), "");
    if (r + 1 == good.size()) continue;
    w.frozen.records = good;
    w.frozen.records.erase(w.frozen.records.begin() + static_cast<std::ptrdiff_t>(r));
    EXPECT_NE(w.refusal(), "");
    w.frozen.records = good;
    std::swap(w.frozen.records[r], w.frozen.records[r + 1]);
    EXPECT_NE(w.refusal(), "");
  }
}

TEST(OpenResponse, RefusesWhatDoesNotBelong) {
  EXPECT_THAT(Writer5().close().data("late").refusal(), HasSubstr("after its close_notify"));
  EXPECT_THAT(Writer5().add(ContentType::kAlert, Bytes{2, 80}).refusal(),
              HasSubstr("internal_error"));
  EXPECT_THAT(Writer5().add(ContentType::kAlert, Bytes{1}).refusal(), HasSubstr("malformed"));
  EXPECT_THAT(Writer5().message(HandshakeType::kCertificateRequest, Bytes(8)).refusal(),
              HasSubstr("CertificateRequest"));
  EXPECT_THAT(Writer5().message(HandshakeType::kFinished, Bytes(32)).refusal(),
              HasSubstr("Finished"));
  EXPECT_THAT(Writer5().message(HandshakeType::kKeyUpdate, {2}).refusal(), HasSubstr("KeyUpdate"));
  EXPECT_THAT(Writer5().message(HandshakeType::kKeyUpdate, {0, 0}).refusal(),
              HasSubstr("KeyUpdate"));
  EXPECT_THAT(Writer5().add(ContentType::kHandshake, Bytes{24, 0, 0, 1, 0, 4}).refusal(),
              HasSubstr("behind its KeyUpdate"));
  EXPECT_THAT(Writer5().add(ContentType::kHandshake, {}).refusal(), HasSubstr("empty handshake"));
  EXPECT_THAT(Writer5().add(ContentType::kHandshake, Bytes{4, 0, 0}).data("x").refusal(),
              HasSubstr("interleaved"));
  EXPECT_THAT(Writer5().add(ContentType::kChangeCipherSpec, Bytes{1}).refusal(),
              HasSubstr("type 20"));
  EXPECT_THAT(Writer5().add(static_cast<ContentType>(24), Bytes{1}).refusal(),
              HasSubstr("type 24"));
  EXPECT_THAT(Writer5().add(static_cast<ContentType>(0), Bytes(64)).refusal(),
              HasSubstr("padding only"));
  // The application data that follows a KeyUpdate must be under the new key.
  Writer5 stale;
  stale.message(HandshakeType::kKeyUpdate, {0}).data("old key");
  EXPECT_THAT(stale.refusal(), HasSubstr("does not verify"));
}

TEST(OpenResponse, BoundsTicketsKeyUpdatesAndEmptyRecords) {
  Writer5 tickets, updates, empty;
  for (int i = 0; i < 8; ++i) tickets.message(HandshakeType::kNewSessionTicket, Bytes(4));
  for (int i = 0; i < 8; ++i) updates.key_update(0);
  for (int i = 0; i < 39; ++i) empty.data("");
  EXPECT_EQ(tickets.refusal() + updates.refusal() + empty.refusal(), "");
  EXPECT_THAT(tickets.message(HandshakeType::kNewSessionTicket, Bytes(4)).refusal(),
              HasSubstr("8"));
  EXPECT_THAT(updates.key_update(0).refusal(), HasSubstr("8"));
  EXPECT_THAT(empty.data("").refusal(), HasSubstr("40"));
}

TEST(OpenResponse, DataFromBeforeTheRequestIsNoAnswer) {
  Writer5 w;
  w.message(HandshakeType::kNewSessionTicket, Bytes(4)).data("HTTP/1.1 408").data("later");
  w.frozen.request_offset = w.frozen.records[1].offset;
  EXPECT_EQ(w.refusal(), "");
  w.frozen.request_offset += 1;
  EXPECT_THAT(w.refusal(), HasSubstr("before the request"));
}

TEST(OpenResponse, IncompleteRecordsAndMessagesMakeTheOutcomeUnknown) {
  Writer5 w;
  w.data("x");
  w.frozen.trailing_partial = true;
  EXPECT_TRUE(w.open().unknown_outcome.has_value());
  Writer5 message;
  message.data("x").add(ContentType::kHandshake, Bytes{4, 0, 0, 9});
  EXPECT_TRUE(message.open().unknown_outcome.has_value());
}

TEST(MayFreeze, WaitsForCloseNotifyOrEnd) {
  Writer5 w;
  EXPECT_FALSE(may_freeze(w.frozen.records, false, false));
  w.data("answer");
  EXPECT_FALSE(may_freeze(w.frozen.records, false, false));
  EXPECT_TRUE(may_freeze(w.frozen.records, false, true));
  w.close();
  EXPECT_TRUE(may_freeze(w.frozen.records, false, false));
  EXPECT_FALSE(may_freeze(w.frozen.records, true, false));
}

}  // namespace
}  // namespace flexroom::tls
