#include "agent/read_direction.h"

#include "agent/freeze.h"
#include "agent/phases.h"
#include "agent/sealed_read_direction.h"
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
    request.begin(phase::kAnswer);
    const tls::FrozenResponse frozen = freeze(request, terms_);
    request.begin(phase::kOpenAnswer);
    const Digest secret = open_secret(request, freeze_view(request, frozen));
    request.server.close();
    return judge(request, frozen, secret);
  }

 private:
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
  if (mode == ReceiveMode::kSealed) return make_sealed_read_direction(terms);
  return std::make_unique<OpenReadDirection>(terms);
}

}  // namespace flexroom::agent
