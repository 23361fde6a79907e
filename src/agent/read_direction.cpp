#include "agent/read_direction.h"

#include "agent/wires.h"
#include "prep/open.h"

namespace flexroom::agent {
namespace {

/// Open mode, R2: agree, then reveal the key (tls-in-mpc.md §4.6).
class OpenReadDirection final : public ReadDirection {
 public:
  explicit OpenReadDirection(const ReadTerms& terms) : terms_(terms) {}

  void take(const mpc::Program& program, boolean::Outputs& outputs) override {
    s_ap_ = std::move(outputs.kept[program.output_group("s_ap")]);
  }
  void erase() override { s_ap_ = prep::AuthBits(); }

  Reply read(const Released& request) override {
    ServerBytes& server = request.server;
    request.begin("wait for the answer");
    const tls::FrozenResponse frozen = freeze(request);
    request.begin("open the answer");
    FreezeView view;
    view.h2 = request.h2;
    view.stream = server.digest();
    view.stream_bytes = server.offset();
    view.request_offset = frozen.request_offset;
    view.records = frozen.records.size();
    view.trailing_partial = frozen.trailing_partial;
    view.end = static_cast<uint8_t>(server.end());
    const Digest secret = open_secret(request, view.digest(request.views));
    server.close();
    return judge(request, frozen, secret);
  }

 private:
  tls::FrozenResponse freeze(const Released& request) const {
    tls::ClientHandshake& machine = request.machine;
    ServerBytes& server = request.server;
    tls::FrozenResponse frozen;
    frozen.request_offset = request.request_offset;
    frozen.suite = terms_.suite;
    while (true) {
      for (tls::RawRecord& record : machine.take_application_records()) {
        frozen.records.push_back(std::move(record));
      }
      frozen.trailing_partial = machine.has_partial_record();
      if (server.ended() || machine.application_fault()) break;
      const Bytes piece = server.next_of_answer(tls::quiet_before_freeze(
          frozen.records, request.request_offset, frozen.trailing_partial, terms_.await_close));
      if (!piece.empty()) (void)machine.feed(piece);
    }
    if (terms_.await_close) require_close(frozen, server, request.courier);
    return frozen;
  }

  // R2-5: a courier that freezes early can read on alone; where the recipe asks for it that is
  // refused, at the price of the answer.
  static void require_close(const tls::FrozenResponse& frozen, const ServerBytes& server,
                            PartyId courier) {
    const bool silent = server.end() == StreamEnd::kQuiet || server.end() == StreamEnd::kTimeout;
    if (!silent || (!frozen.trailing_partial && !frozen.records.empty() &&
                    frozen.records.back().payload.size() == tls::kCloseNotifyLength)) {
      return;
    }
    throw ProtocolAbort(AbortCode::kServer, "tls/freeze",
                        "the answer did not end with close_notify or the end of the connection, "
                        "which room.toml awaits (`await_close` of the provider): " +
                            server.end_reason(),
                        server.is_courier() ? std::nullopt : std::optional(courier));
  }

  // A4, then the reveal. From here on no share of a tag and no ciphertext of this connection leaves
  // this member (R2-2): there is no code path back.
  Digest open_secret(const Released& request, const Digest& a4) const {
    const Views& views = request.views;
    const PartyId courier = request.courier;
    net::Party& party = views.party();
    prep::BitOpening opening(party, request.delta, s_ap_, "tls/open s_ap");
    if (party.num_parties() > 2) {
      views.agree("tls/A4", a4, AbortCode::kViewMismatch);
      opening.send_to_all();
      opening.receive_from_all();
      return digest_of_bits(opening.result());
    }
    // n = 2: the courier's share travels with its view; the other compares before it answers.
    const PartyId peer = party.peers().front();
    const auto send = [&] {
      party.send(peer, "tls/A4", a4);
      opening.send_to(peer);
    };
    if (party.id() == courier) send();
    views.expect(peer, "tls/A4", a4, AbortCode::kViewMismatch);
    if (party.id() != courier) send();
    opening.receive_from(peer);
    return digest_of_bits(opening.result());
  }

  // The request is out: whatever is wrong with the answer, what came of it is kept.
  Reply judge(const Released& request, const tls::FrozenResponse& frozen,
              const Digest& secret) const {
    const tls::OpenedResponse opened = tls::open_response(frozen, secret);
    http::ResponseOptions options;
    options.head = request.head;
    options.no_secret = terms_.no_secret;
    options.max_body = terms_.max_answer;
    Reply reply;
    reply.unknown_outcome = opened.unknown_outcome;
    // Behind an authentic close_notify nothing counts, also nothing that is wrong.
    if (!opened.close_notify && !reply.unknown_outcome) {
      reply.unknown_outcome = request.machine.application_fault();
    }
    if (!reply.unknown_outcome) {
      try {
        reply.response =
            http::parse_response(opened.application_data, options, opened.close_notify);
        return reply;
      } catch (const http::ResponseError& error) {
        reply.unknown_outcome = error.detail();
        if (error.fault() == http::ResponseFault::kIncomplete) {
          reply.unknown_outcome =
              (opened.application_data.empty() ? "there is no answer: " : error.detail() + ": ") +
              request.server.end_reason();
        }
      }
    }
    reply.partial = http::read_partial(opened.application_data, options);
    return reply;
  }

  const ReadTerms terms_;
  prep::AuthBits s_ap_;
};

}  // namespace

std::unique_ptr<ReadDirection> make_read_direction(ReceiveMode mode, const ReadTerms& terms) {
  if (mode != ReceiveMode::kOpen) {
    throw InputError("`receive` = \"sealed\"", "is not built: answers are open to all members",
                     "use \"open\", and only for calls whose answers hold no secret");
  }
  return std::make_unique<OpenReadDirection>(terms);
}

}  // namespace flexroom::agent
