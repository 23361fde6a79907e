#include <fmt/core.h>

#include <algorithm>

#include "session/member_session.h"

namespace flexroom::session {

net::MeshConfig mesh_of(const RoomConfig& room, const MemberConfig& member,
                        const std::atomic<bool>* cancel,
                        const std::function<void(const std::string&)>& note) {
  net::MeshConfig config;
  for (const MemberEntry& one : room.members) {
    config.members.push_back({one.name, one.address.host, one.address.port, one.certificate()});
  }
  config.self = room.member_id(member.name);
  const Endpoint listen = member.listen.value_or(room.members[config.self].address);
  config.listen_host = listen.host;
  config.listen_port = listen.port;
  // What room.toml says is compared in words (room_terms.h), once the members have met.
  config.room_digest = RandomOracle("flexroom room session/1", {}).digest();
  config.connect_timeout = room.timeout;
  config.receive_timeout = std::max<std::chrono::seconds>(room.timeout, std::chrono::seconds(120));
  config.cancel = cancel;
  config.on_waiting = [note](const std::vector<net::MissingMember>& missing) {
    if (!note) return;
    for (const net::MissingMember& one : missing) {
      note(fmt::format("waiting for {} ({}){}{}", one.name, one.address,
                       one.problem.empty() ? "" : ": ", one.problem));
    }
  };
  return config;
}

}  // namespace flexroom::session
