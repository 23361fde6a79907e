#include "agent/freeze.h"

#include <algorithm>

namespace flexroom::agent {
namespace {

// R2-5: a courier that freezes early can read on alone; where the recipe asks for it that is
// refused, at the price of the answer.
void require_close(const tls::FrozenResponse& frozen, const ServerBytes& server, PartyId courier) {
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

}  // namespace

tls::FrozenResponse freeze(const Released& request, const ReadTerms& terms) {
  tls::ClientHandshake& machine = request.machine;
  ServerBytes& server = request.server;
  tls::FrozenResponse frozen;
  frozen.request_offset = request.request_offset;
  frozen.suite = terms.suite;
  // Silence behind one of several answers says nothing of the next one.
  const bool until_close = terms.await_close || (terms.requests > 1 && terms.sealed == nullptr);
  while (true) {
    for (tls::RawRecord& record : machine.take_application_records()) {
      frozen.records.push_back(std::move(record));
    }
    frozen.trailing_partial = machine.has_partial_record();
    if (server.ended() || machine.application_fault()) break;
    const Bytes piece = server.next_of_answer(tls::quiet_before_freeze(
        frozen.records, request.request_offset, frozen.trailing_partial, until_close));
    if (!piece.empty()) (void)machine.feed(piece);
  }
  if (terms.await_close) require_close(frozen, server, request.courier);
  return frozen;
}

tls::FrozenResponse freeze_next(const Released& request, const ReadTerms& terms,
                                const Patience& patience) {
  tls::ClientHandshake& machine = request.machine;
  ServerBytes& server = request.server;
  tls::FrozenResponse frozen;
  frozen.request_offset = request.request_offset;
  frozen.suite = terms.suite;
  size_t bytes = 0;
  while (true) {
    for (tls::RawRecord& record : machine.take_application_records()) {
      bytes += record.payload.size() - std::min(record.payload.size(), tls::kTagSize + 1);
      frozen.records.push_back(std::move(record));
    }
    frozen.trailing_partial = machine.has_partial_record();
    if (server.ended() || machine.application_fault()) break;
    const bool some = !frozen.records.empty();
    if (some && (patience.then.count() == 0 || bytes >= patience.enough)) break;
    const Bytes piece = server.next_of_answer(some ? std::optional(patience.then) : patience.first);
    if (!piece.empty()) (void)machine.feed(piece);
    if (server.end() != StreamEnd::kQuiet) continue;
    server.go_on();
    break;
  }
  return frozen;
}

Digest freeze_view(const Released& request, const tls::FrozenResponse& frozen) {
  FreezeView view;
  view.h2 = request.h2;
  view.stream = request.server.digest();
  view.stream_bytes = request.server.offset();
  view.request_offset = frozen.request_offset;
  view.records = frozen.records.size();
  view.trailing_partial = frozen.trailing_partial;
  view.end = static_cast<uint8_t>(request.server.end());
  return view.digest(request.views);
}

}  // namespace flexroom::agent
