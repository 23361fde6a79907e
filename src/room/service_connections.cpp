#include "room/service_connections.h"

#include <algorithm>
#include <ctime>

#include "net/tcp_mesh.h"
#include "room/failure.h"

namespace flexroom::room {
namespace {

store::ConnectionStore store_of(session::MemberState& state) { return {state.db(), state.rid()}; }

ConnectionInfo shown_connection(const store::ConnectionRecord& record) {
  return {static_cast<int64_t>(record.unix_seconds),
          to_hex(record.session),
          record.what,
          record.host,
          std::string(to_string(record.group)),
          record.retried,
          record.goes_on,
          record.outlasts_recording()};
}

}  // namespace

std::optional<NamedGroup> ServiceConnections::remembered(const std::string& host) {
  return store_of(session_.state()).likely_curve(host);
}

void ServiceConnections::agree(const std::string& host, std::optional<NamedGroup> curve) {
  likely_.erase(host);
  if (curve) {
    likely_.emplace(host, *curve);
  } else {
    store_of(session_.state()).forget_curve(host);
  }
}

void ServiceConnections::set_up(agent::ConnectionConfig& config, const std::string& what) {
  const auto likely = likely_.find(config.host);
  if (likely != likely_.end()) config.likely_curve = likely->second;
  config.on_negotiated = [this, host = config.host, what](const agent::Negotiated& negotiated) {
    add(host, what, negotiated, false);
  };
}

void ServiceConnections::add_next(const std::string& host, const std::string& what) noexcept {
  const auto there = there_.find(host);
  if (there != there_.end()) add(host, what, there->second, true);
}

void ServiceConnections::add_shape(const agent::Negotiated& negotiated, const std::string& host,
                                   store::ConnectionRecord& record) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  constexpr milliseconds::rep kMost = 3'600'000;
  if (const auto slot = slots_.find(host); slot != slots_.end()) {
    const auto delay = duration_cast<milliseconds>(negotiated.opened - slot->second).count();
    record.delay_ms = static_cast<uint32_t>(std::clamp<milliseconds::rep>(delay, 0, kMost));
    slots_.erase(slot);
  }
  record.pause_ms =
      static_cast<uint32_t>(std::clamp<milliseconds::rep>(negotiated.pause.count(), 0, kMost));
  for (const size_t bytes : negotiated.record_bytes) {
    record.record_bytes.push_back(static_cast<uint16_t>(bytes));
  }
}

// The request is out: a disk that is full changes nothing about what comes of it.
void ServiceConnections::add(const std::string& host, const std::string& what,
                             const agent::Negotiated& negotiated, bool goes_on) noexcept {
  try {
    there_.insert_or_assign(host, negotiated);
    likely_.erase(host);
    const NamedGroup curve = curve_of(negotiated.group);
    if (curve == NamedGroup::kP256) likely_.emplace(host, curve);
    store::ConnectionRecord record;
    record.unix_seconds = static_cast<uint64_t>(std::time(nullptr));
    record.session = session_.party().scope().sid;
    record.what = what;
    record.host = host;
    record.group = negotiated.group;
    record.retried = negotiated.retried;
    record.goes_on = goes_on;
    record.links_kept = net::TcpMesh::kOutlastsRecording;
    if (!goes_on) add_shape(negotiated, host, record);
    store_of(session_.state()).add(std::move(record));
  } catch (...) {
    note_("what protects this connection could not be written down: " + words_of_caught());
  }
}

void add_connections(session::MemberState& state, RoomStatus& out) {
  if (!state.founded()) return;
  store::ConnectionStore store = store_of(state);
  for (const store::ConnectionCount& one : store.counts()) {
    out.connections.push_back({one.count, shown_connection(one.last)});
  }
  for (const store::ConnectionRecord& one : store.newest()) {
    out.newest_connections.push_back(shown_connection(one));
  }
}

}  // namespace flexroom::room
