#include "tls/open_response.h"

#include <algorithm>

#include "tls/messages.h"
#include "tls/wire.h"

namespace flexroom::tls {
namespace {

constexpr std::string_view kStep = "application data";
constexpr size_t kMaxTickets = 64;
constexpr size_t kMaxKeyUpdates = 8;
constexpr size_t kMaxEmptyInARow = 32;
constexpr size_t kMaxUserCanceled = 4;
constexpr size_t kMaxTicketBytes = 64 * 1024;
constexpr uint8_t kCloseNotify = 0, kUserCanceled = 90;

class Opener {
 public:
  Opener(const FrozenResponse& frozen, const HashValue& s_ap)
      : request_offset_(frozen.request_offset),
        suite_(*frozen.suite),
        secret_(s_ap),
        keys_(traffic_keys(s_ap, suite_)) {}

  /// False when nothing behind this record is to be read.
  bool read(const RawRecord& record) {
    try {
      on_record(record);
    } catch (const ServerFault& fault) {
      out_.unknown_outcome = fault.detail();
    }
    return !out_.unknown_outcome && !out_.close_notify;
  }

  OpenedResponse finish(bool trailing_partial) {
    if (!out_.unknown_outcome && !out_.close_notify) {
      if (trailing_partial) out_.unknown_outcome = "the server's last record is not whole";
      if (!messages_.empty()) {
        out_.unknown_outcome = "a handshake message of the server is not whole";
      }
      if (canceled_ != 0) out_.unknown_outcome = "the server canceled and sent no close_notify";
    }
    return std::move(out_);
  }

 private:
  void on_record(const RawRecord& record) {
    if (record.type() != static_cast<uint8_t>(ContentType::kApplicationData) ||
        record.payload.size() <= kTagSize) {
      server_fault(kStep, "the server sent an unprotected record");
    }
    auto inner = aead_open(keys_, seq_++, record);
    if (!inner) server_fault(kStep, "a record of the server does not verify under its key");
    const InnerPlaintext plain = split_inner(std::move(*inner), kStep);
    empty_ = plain.content.empty() ? empty_ + 1 : 0;
    if (empty_ > kMaxEmptyInARow) {
      server_fault(kStep, "the server sent more than 32 empty records in a row");
    }
    const auto type = static_cast<ContentType>(plain.type);
    if (type != ContentType::kHandshake && !messages_.empty()) {
      server_fault(kStep, "the server interleaved a handshake message with another record");
    }
    switch (type) {
      case ContentType::kApplicationData:
        on_data(record, plain.content);
        break;
      case ContentType::kHandshake:
        on_handshake(plain.content);
        break;
      case ContentType::kAlert:
        on_alert(plain.content);
        break;
      default:
        server_fault(kStep, "the server sent unknown content type " + std::to_string(plain.type));
    }
  }

  void on_data(const RawRecord& record, const Bytes& content) {
    // §3.6: what was sent before the request cannot be its answer (408, 0.5-RTT data).
    if (record.offset < request_offset_) {
      server_fault(kStep, "the server sent application data before the request was released");
    }
    append(out_.application_data, content);
  }

  void on_handshake(const Bytes& content) {
    if (content.empty()) server_fault(kStep, "the server sent an empty handshake fragment");
    messages_.add(content);
    while (auto message = messages_.next()) on_message(*message);
  }

  void on_message(const Bytes& message) {
    const auto type = static_cast<HandshakeType>(message[0]);
    if (type == HandshakeType::kNewSessionTicket) {
      if (++out_.tickets > kMaxTickets) server_fault(kStep, "the server sent more than 64 tickets");
      check_new_session_ticket(ByteView(message).subspan(4));
    } else if (type == HandshakeType::kKeyUpdate) {
      on_key_update(message);
    } else {
      server_fault(kStep,
                   "the server sent " + describe_handshake(message[0]) + " after the handshake");
    }
  }

  void on_key_update(const Bytes& message) {
    if (message.size() != 5 || message[4] > 1)
      server_fault(kStep, "the server sent a bad KeyUpdate");
    if (!messages_.empty()) server_fault(kStep, "the server sent data behind its KeyUpdate");
    if (++out_.key_updates > kMaxKeyUpdates) {
      server_fault(kStep, "the server sent more than 8 KeyUpdates");
    }
    // update_requested stays unanswered: nothing more is sent on an open connection (R2-2).
    secret_ = next_traffic_secret(suite_.hash(), secret_);
    keys_ = traffic_keys(secret_, suite_);
    seq_ = 0;
  }

  void on_alert(const Bytes& content) {
    if (content.size() != 2) server_fault("alert", "the server sent a malformed alert");
    if (content[1] == kUserCanceled && ++canceled_ <= kMaxUserCanceled) return;
    if (content[1] != kCloseNotify) {
      server_fault("alert",
                   "the server ended the connection with alert " + describe_alert(content[1]));
    }
    out_.close_notify = true;
  }

  const uint64_t request_offset_;
  const CipherSuite& suite_;
  HashValue secret_;
  TrafficKeys keys_;
  uint64_t seq_ = 0;
  size_t empty_ = 0;
  size_t canceled_ = 0;
  HandshakeReassembler messages_{kMaxTicketBytes};
  OpenedResponse out_;
};

/// Session tickets of one server differ by a few bytes at most; whether two to four such records
/// are tickets or an answer cannot be told before the key is opened.
bool may_be_tickets(const std::vector<RawRecord>& records, size_t first) {
  constexpr size_t kMostTickets = 4, kSpread = 16, kShortest = 64;
  const size_t count = records.size() - first;
  if (count < 2 || count > kMostTickets) return false;
  const auto shorter = [](const RawRecord& a, const RawRecord& b) {
    return a.payload.size() < b.payload.size();
  };
  const auto [least, most] = std::minmax_element(
      records.begin() + static_cast<std::ptrdiff_t>(first), records.end(), shorter);
  return least->payload.size() >= kShortest &&
         most->payload.size() - least->payload.size() <= kSpread;
}

}  // namespace

OpenedResponse open_response(const FrozenResponse& frozen, const HashValue& s_ap) {
  Opener opener(frozen, s_ap);
  for (const RawRecord& record : frozen.records) {
    if (!opener.read(record)) break;
  }
  return opener.finish(frozen.trailing_partial);
}

std::optional<std::chrono::milliseconds> quiet_before_freeze(const std::vector<RawRecord>& records,
                                                             uint64_t request_offset,
                                                             bool trailing_partial,
                                                             bool await_close) {
  const auto answer = std::find_if(records.begin(), records.end(), [&](const RawRecord& record) {
    return record.offset >= request_offset;
  });
  if (answer == records.end()) return std::nullopt;
  if (!trailing_partial && records.back().payload.size() == kCloseNotifyLength) {
    return kQuietAfterClose;
  }
  if (await_close || may_be_tickets(records, static_cast<size_t>(answer - records.begin()))) {
    return std::nullopt;
  }
  return kQuietAfterAnswer;
}

}  // namespace flexroom::tls
