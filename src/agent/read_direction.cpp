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
    return std::move(read_all(request, {request.head}).front());
  }

  std::vector<Reply> read_all(const Released& request, const std::vector<bool>& heads) override {
    request.begin(phase::kAnswer);
    const tls::FrozenResponse frozen = freeze(request, terms_);
    request.begin(phase::kOpenAnswer);
    const tls::HashValue secret = open_secret(request, freeze_view(request, frozen));
    request.server.close();
    return judge(request, tls::open_response(frozen, secret), heads);
  }

 private:
  // A4, then the reveal. From here on no share of a tag and no ciphertext of this connection leaves
  // this member (R2-2): there is no code path back.
  tls::HashValue open_secret(const Released& request, const Digest& a4) const {
    const Views& views = request.views;
    const PartyId courier = request.courier;
    net::Party& party = views.party();
    prep::BitOpening opening(party, request.delta, s_ap_, "tls/open s_ap");
    if (party.num_parties() > 2) {
      views.agree("tls/A4", a4, AbortCode::kViewMismatch);
      opening.send_to_all();
      opening.receive_from_all();
      return hash_value_of_bits(opening.result());
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
    return hash_value_of_bits(opening.result());
  }

  // The requests are out: whatever is wrong with an answer, what came of it is kept. There are as
  // many whole answers as requests and nothing behind the last, or none of them counts (§3.6):
  // which one belongs to which request is known by their order alone.
  std::vector<Reply> judge(const Released& request, const tls::OpenedResponse& opened,
                           const std::vector<bool>& heads) const {
    std::vector<Reply> replies(heads.size());
    std::vector<ByteView> parts;
    ByteView left(opened.application_data);
    std::optional<std::string> fault = opened.unknown_outcome;
    // Behind an authentic close_notify nothing counts, also nothing that is wrong.
    if (!opened.close_notify && !fault) fault = request.machine.application_fault();
    for (size_t k = 0; k < heads.size() && !fault; ++k) {
      const bool last = k + 1 == heads.size();
      try {
        size_t used = left.size();
        replies[k].response =
            last ? http::parse_response(left, options(heads[k]), opened.close_notify)
                 : first_of(left, options(heads[k]), used);
        if (replies[k].response.status == 408) {  // an idle service sends it unasked (§4.9(1))
          fault = "408 is no answer to a request";
          break;
        }
        parts.push_back(left.first(used));
        left = left.subspan(used);
      } catch (const http::ResponseError& error) {
        fault = error.detail();
        if (error.fault() == http::ResponseFault::kIncomplete) {
          fault = (left.empty() ? "there is no answer: " : error.detail() + ": ") +
                  request.server.end_reason();
        }
      }
    }
    if (!fault) return replies;
    for (size_t k = 0; k < heads.size(); ++k) {
      replies[k] = Reply();
      replies[k].unknown_outcome = fault;
      replies[k].partial =
          http::read_partial(k < parts.size() ? parts[k] : left, options(heads[k]));
      if (k >= parts.size()) left = {};
    }
    return replies;
  }

  http::ResponseOptions options(bool head) const {
    http::ResponseOptions out;
    out.head = head;
    out.no_secret = terms_.no_secret;
    out.max_body = terms_.max_answer;
    return out;
  }

  /// An answer with others behind it ends by its own framing.
  static http::Response first_of(ByteView data, const http::ResponseOptions& options,
                                 size_t& used) {
    http::ResponseParser parser(options);
    used = parser.feed_one(data);
    return parser.finish(false);
  }

  const ReadTerms terms_;
  prep::AuthBits s_ap_;
};

}  // namespace

tls::ApplicationLimit ReadTerms::limit() const {
  tls::ApplicationLimit out;
  if (sealed == nullptr) {
    // Twice the body: chunk lines. A record for 8 bytes of it, and a million: servers that write
    // byte by byte.
    constexpr size_t kBeside = size_t{1} << 20, kBytesARecord = 8;
    out.content = requests * (2 * max_answer + kBeside);
    out.records = requests * std::max(max_answer / kBytesARecord, kBeside);
    out.of = "the most that is taken of an answer of at most " + std::to_string(max_answer) +
             " bytes (`max_answer` of the provider)";
    return out;
  }
  out.content = sealed->max_stream();
  for (const auto& plan : later) out.content += plan->max_stream();
  if (to_come.count > 0) out.content += to_come.max_stream();
  out.records = out.content / (tls::kHeaderSize + 1 + tls::kTagSize);
  out.of = "the most that the plans of the answers foresee";
  return out;
}

std::vector<Reply> ReadDirection::read_all(const Released&, const std::vector<bool>&) {
  FLEXROOM_ASSERT(false && "answers of sealed connections are read one by one");
  return {};
}

void ReadDirection::prepare_next(std::shared_ptr<const SealedPlan>) {
  FLEXROOM_ASSERT(false && "nothing follows an open answer");
}

std::unique_ptr<ReadDirection> make_read_direction(ReceiveMode mode, const ReadTerms& terms) {
  if (mode == ReceiveMode::kSealed) return make_sealed_read_direction(terms);
  return std::make_unique<OpenReadDirection>(terms);
}

}  // namespace flexroom::agent
