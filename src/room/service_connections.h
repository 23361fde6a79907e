#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "agent/connection.h"
#include "flexroom/room.h"
#include "session/member_session.h"
#include "store/connection_store.h"

namespace flexroom::room {

/// What this member keeps of its session's connections to services (store/connection_store.h), and
/// what it and the others make of it: the host facts (tls-complete.md §1.1), for `status` by what
/// each connection was protected.
///
/// Not given  a host fact protects nothing and is trusted by nobody: it chooses which keys stand in
///            the first hello, which every member builds and compares
class ServiceConnections {
 public:
  /// The session outlives it; `note` is told what could not be kept.
  ServiceConnections(session::MemberSession& session, std::function<void(const std::string&)> note)
      : session_(session), note_(std::move(note)) {}

  /// The curve that the host chose the last time, as this member remembers it.
  std::optional<NamedGroup> remembered(const std::string& host);
  /// What all members remember alike; nothing: they do not, and this one forgets.
  void agree(const std::string& host, std::optional<NamedGroup> curve);
  /// Into the connection's settings: what was agreed, and that what comes of it is kept.
  void set_up(agent::ConnectionConfig& config, const std::string& what);
  /// The next connection to the host waits for this slot (tls-complete.md §8.3).
  void set_slot(const std::string& host, std::chrono::system_clock::time_point slot) {
    slots_.insert_or_assign(host, slot);
  }
  /// Another request on the connection to the host that is there.
  void add_next(const std::string& host, const std::string& what) noexcept;

 private:
  void add(const std::string& host, const std::string& what, const agent::Negotiated& negotiated,
           bool goes_on) noexcept;
  void add_shape(const agent::Negotiated& negotiated, const std::string& host,
                 store::ConnectionRecord& record);

  session::MemberSession& session_;
  std::function<void(const std::string&)> note_;
  std::map<std::string, NamedGroup> likely_;        // agreed in this session, by host
  std::map<std::string, agent::Negotiated> there_;  // by host: of the last connection
  std::map<std::string, std::chrono::system_clock::time_point> slots_;
};

/// What is kept of them, for `status`.
void add_connections(session::MemberState& state, RoomStatus& out);

}  // namespace flexroom::room
