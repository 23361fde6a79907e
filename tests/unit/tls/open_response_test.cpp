#include "tls/open_response.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/tls/fake_server.h"

namespace flexroom::tls {
namespace {

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
    secret_ = next_traffic_secret(sha256_kind(), secret_);
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
  std::string refusal() const { return open().unknown_outcome.value_or(""); }
  Writer5& ticket(uint32_t lifetime = 3600, const Bytes& ticket = Bytes(40),
                  const Bytes& extensions = {}) {
    return message(HandshakeType::kNewSessionTicket, ticket_body(lifetime, ticket, extensions));
  }
  static Bytes ticket_body(uint32_t lifetime, const Bytes& ticket, const Bytes& extensions) {
    Writer out;
    out.u32(lifetime).u32(7).u8(2).u16(1);
    out.u16(static_cast<uint16_t>(ticket.size())).raw(ticket);
    out.u16(static_cast<uint16_t>(extensions.size())).raw(extensions);
    return out.take();
  }

 private:
  HashValue secret_ = s_ap;
  TrafficKeys keys_ = traffic_keys(s_ap);
  uint64_t seq_ = 0;
  RecordReader reader_;
};

TEST(OpenResponse, GivesTheBytesAcrossTicketsKeyUpdatesAndPadding) {
  Writer5 w;
  w.ticket().data("one ").key_update(1).data("two ");
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
    if (r + 1 == good.size()) continue;  // behind close_notify nothing is read
    EXPECT_NE(w.refusal(), "");
    w.frozen.records = good;
    w.frozen.records.erase(w.frozen.records.begin() + static_cast<std::ptrdiff_t>(r));
    EXPECT_NE(w.refusal(), "");
    w.frozen.records = good;
    std::swap(w.frozen.records[r], w.frozen.records[r + 1]);
    EXPECT_NE(w.refusal(), "");
  }
}

TEST(OpenResponse, RefusesWhatDoesNotBelong) {
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
  for (int i = 0; i < 64; ++i) tickets.ticket();
  for (int i = 0; i < 8; ++i) updates.key_update(0);
  for (int i = 0; i < 32; ++i) empty.data("");
  empty.data("x");
  for (int i = 0; i < 32; ++i) empty.data("");
  EXPECT_EQ(tickets.refusal() + updates.refusal() + empty.refusal(), "");
  EXPECT_THAT(tickets.ticket().refusal(), HasSubstr("64 tickets"));
  EXPECT_THAT(updates.key_update(0).refusal(), HasSubstr("8"));
  EXPECT_THAT(empty.data("").refusal(), HasSubstr("32 empty records in a row"));
}

TEST(OpenResponse, ReadsTheContentOfTickets) {
  const Bytes unknown = testing::extension(0xfafa, Bytes{1});
  EXPECT_EQ(Writer5().ticket(604800, Bytes(1), unknown).refusal(), "");
  EXPECT_THAT(Writer5().ticket(604801).refusal(), HasSubstr("seven days"));
  EXPECT_THAT(Writer5().ticket(1, Bytes()).refusal(), HasSubstr("empty ticket"));
  EXPECT_THAT(Writer5().ticket(1, Bytes(9), testing::join({unknown, unknown})).refusal(),
              HasSubstr("twice"));
  Bytes body = Writer5::ticket_body(1, Bytes(9), {});
  body.push_back(0);
  EXPECT_THAT(Writer5().message(HandshakeType::kNewSessionTicket, body).refusal(),
              HasSubstr("too many"));
  EXPECT_THAT(Writer5().message(HandshakeType::kNewSessionTicket, Bytes(4)).refusal(),
              HasSubstr("too early"));
}

TEST(OpenResponse, PassesOverUserCanceledBeforeCloseNotify) {
  const auto canceled = [](int times) {
    Writer5 w;
    w.data("x");
    for (int i = 0; i < times; ++i) w.add(ContentType::kAlert, Bytes{1, 90});
    return w;
  };
  EXPECT_EQ(canceled(4).close().refusal(), "");
  EXPECT_THAT(canceled(5).close().refusal(), HasSubstr("user_canceled"));
  EXPECT_THAT(canceled(1).refusal(), HasSubstr("no close_notify"));
}

TEST(OpenResponse, ReadsNothingBehindCloseNotify) {
  Writer5 w;
  w.data("x").close().data("late").add_bytes(
      Bytes{23, 3, 3, 0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17});
  w.frozen.trailing_partial = true;
  EXPECT_EQ(w.refusal(), "");
  EXPECT_EQ(as_text(w.open().application_data), "x");
}

TEST(OpenResponse, ReadsPaddedRecordsAndOtherRecordVersions) {
  Writer5 w;
  const auto padded = [](std::string_view content, ContentType type) {
    Bytes out = to_bytes(content);  // the last zero is left to the type byte of add()
    out.push_back(static_cast<uint8_t>(type));
    out.resize(out.size() + 100);
    return out;
  };
  w.add(ContentType{0}, padded("answer", ContentType::kApplicationData));
  w.add(ContentType{0}, padded(std::string_view("\x01\x00", 2), ContentType::kAlert));
  EXPECT_EQ(w.refusal(), "");
  EXPECT_EQ(as_text(w.open().application_data), "answer");
  EXPECT_TRUE(w.open().close_notify);

  // The version is in the AAD as received: any one passes that the server sealed, and no other.
  const TrafficKeys keys = traffic_keys(w.s_ap);
  RawRecord odd;
  for (RawRecord& record :
       RecordReader().feed(aead_seal(keys, 0, ContentType::kApplicationData, to_bytes("x")))) {
    odd = std::move(record);
  }
  odd.header[2] = 1;
  EXPECT_FALSE(aead_open(keys, 0, odd).has_value());
  RecordReader reader;
  EXPECT_EQ(
      reader.feed(Bytes{23, 3, 1, 0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17})
          .size(),
      1u);
  EXPECT_FALSE(reader.fault().has_value());
}

// The request is out: what verified before the fault is kept.
TEST(OpenResponse, KeepsWhatCameBeforeAFault) {
  Writer5 w;
  w.data("HTTP/1.1 200 OK\r\n").add(ContentType::kAlert, Bytes{2, 80}).data("more");
  EXPECT_THAT(w.refusal(), HasSubstr("internal_error"));
  EXPECT_EQ(as_text(w.open().application_data), "HTTP/1.1 200 OK\r\n");
  Writer5 bad;
  bad.data("one").skip_sequence().data("two");
  EXPECT_THAT(bad.refusal(), HasSubstr("does not verify"));
  EXPECT_EQ(as_text(bad.open().application_data), "one");
}

TEST(OpenResponse, DataFromBeforeTheRequestIsNoAnswer) {
  Writer5 w;
  w.ticket().data("HTTP/1.1 408").data("later");
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

TEST(QuietBeforeFreeze, FollowsWhatTheLastRecordsMayBe) {
  const auto quiet = [](const Writer5& w, bool await_close = false, bool partial = false) {
    return quiet_before_freeze(w.frozen.records, w.frozen.request_offset, partial, await_close);
  };
  EXPECT_EQ(quiet(Writer5()), std::nullopt);
  Writer5 w;
  w.data("answer");
  EXPECT_EQ(quiet(w), kQuietAfterAnswer);
  EXPECT_EQ(quiet(w, true), std::nullopt);
  EXPECT_EQ(quiet(w, false, true), kQuietAfterAnswer);
  w.close();
  EXPECT_EQ(quiet(w), kQuietAfterClose);
  EXPECT_EQ(quiet(w, true), kQuietAfterClose);
  EXPECT_EQ(quiet(w, true, true), std::nullopt);
  // Data of two bytes has that length too: no end, only a reason to look again after a second.
  EXPECT_EQ(quiet(Writer5().data("HTTP/1.1 200 OK\r\n").data("\r\n")), kQuietAfterClose);
  // What was there before the request is no answer to it.
  w.frozen.request_offset = w.frozen.records.back().end();
  EXPECT_EQ(quiet(w), std::nullopt);
  // Tickets behind the client's Finished: a slow answer is still to come.
  Writer5 tickets;
  tickets.ticket(3600, Bytes(192)).ticket(3600, Bytes(208));
  EXPECT_EQ(quiet(tickets), std::nullopt);
  EXPECT_EQ(quiet(tickets.data("HTTP/1.1 200 OK\r\n")), kQuietAfterAnswer);
}

}  // namespace
}  // namespace flexroom::tls
