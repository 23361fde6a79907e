#include "tls/open_response.h"

#include "tls/messages.h"
#include "tls/wire.h"

namespace flexroom::tls {
namespace {

constexpr std::string_view kStep = "application data";
constexpr size_t kMaxTickets = 8;
constexpr size_t kMaxKeyUpdates = 8;
constexpr size_t kMaxEmptyRecords = 40;
constexpr size_t kMaxTicketBytes = 64 * 1024;

class Opener {
 public:
  Opener(uint64_t request_offset, const Digest& s_ap)
      : request_offset_(request_offset), secret_(s_ap), keys_(traffic_keys(s_ap)) {}

  void on_record(const RawRecord& record) {
    if (out_.close_notify) server_fault(kStep, "the server sent a record after its close_notify");
    if (record.type() != static_cast<uint8_t>(ContentType::kApplicationData) ||
        record.payload.size() <= kTagSize) {
      server_fault(kStep, "the server sent an unprotected record");
    }
    auto inner = aead_open(keys_, seq_++, record);
    if (!inner) server_fault(kStep, "a record of the server does not verify under its key");
    const InnerPlaintext plain = split_inner(std::move(*inner), kStep);
    if (plain.content.empty() && ++empty_ >= kMaxEmptyRecords) {
      server_fault(kStep, "the server sent 40 empty records");
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

  OpenedResponse finish(bool trailing_partial) {
    if (!messages_.empty()) out_.unknown_outcome = "a handshake message of the server is not whole";
    if (trailing_partial) out_.unknown_outcome = "the server's last record is not whole";
    return std::move(out_);
  }

 private:
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
      if (++out_.tickets > kMaxTickets) server_fault(kStep, "the server sent more than 8 tickets");
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
    secret_ = next_traffic_secret(secret_);
    keys_ = traffic_keys(secret_);
    seq_ = 0;
  }

  void on_alert(const Bytes& content) {
    if (content.size() != 2) server_fault("alert", "the server sent a malformed alert");
    if (content[1] != 0) {
      server_fault("alert",
                   "the server ended the connection with alert " + describe_alert(content[1]));
    }
    out_.close_notify = true;
  }

  const uint64_t request_offset_;
  Digest secret_;
  TrafficKeys keys_;
  uint64_t seq_ = 0;
  size_t empty_ = 0;
  HandshakeReassembler messages_{kMaxTicketBytes};
  OpenedResponse out_;
};

}  // namespace

OpenedResponse open_response(const FrozenResponse& frozen, const Digest& s_ap) {
  Opener opener(frozen.request_offset, s_ap);
  for (const RawRecord& record : frozen.records) opener.on_record(record);
  return opener.finish(frozen.trailing_partial);
}

bool may_freeze(const std::vector<RawRecord>& records, bool trailing_partial, bool end_of_stream) {
  if (end_of_stream) return true;
  return !trailing_partial && !records.empty() &&
         records.back().payload.size() == kCloseNotifyLength;
}

}  // namespace flexroom::tls
