#include "node/node.h"

#include <unistd.h>

#include <algorithm>

#include "config/console_terms.h"

namespace flexroom::node {
namespace {

Fd member_socket(const Core& core) {
  if (Fd given = given_member_socket(); given.valid()) return given;
  const Endpoint at =
      core.member().listen.value_or(core.room_config().members[core.self()].address);
  return listen_on(at.host, at.port);
}

std::vector<agreement::MemberId> peers_of(const Core& core) {
  std::vector<agreement::MemberId> out = core.mids();
  out.erase(out.begin() + core.self());
  return out;
}

net::MeshMember mesh_member(const MemberEntry& entry) {
  return {entry.name, entry.address.host, entry.address.port, entry.certificate()};
}

}  // namespace

std::filesystem::path socket_of(const MemberConfig& member) { return member.node.socket; }

Node::Node(const std::filesystem::path& member_file)
    : core_(member_file), listener_(member_socket(core_), peers_of(core_)) {
  // The socket first: nothing is begun by a node that nobody can ask.
  Fd control = control_socket(socket_of(core_.member()));
  runner_ = std::make_unique<Runner>(
      core_, listener_,
      [this] {
        for (const auto& [member, link] : links_) link->ask_to_meet();
      },
      [this] {
        return std::all_of(links_.begin(), links_.end(),
                           [](const auto& link) { return link.second->state().up; });
      });
  core_.set_changed([this] { tell_all(); });
  core_.set_meet([this](const agreement::MemberId& peer) { runner_->meet(peer); });
  const auto& members = core_.room_config().members;
  for (PartyId i = 0; i < members.size(); ++i) {
    if (i == core_.self()) continue;
    PeerLink::Settings settings;
    settings.self = mesh_member(members[core_.self()]);
    settings.peer = mesh_member(members[i]);
    settings.self_id = core_.mids()[core_.self()];
    settings.peer_id = core_.mids()[i];
    settings.connects = i < core_.self();
    settings.room = core_.with([](const Core::Open& open) { return open.state.rid(); });
    links_[settings.peer_id] = std::make_unique<PeerLink>(
        settings, core_.identity(), listener_.of_peer(settings.peer_id), core_);
  }
  for (const auto& [member, link] : links_) link->start();
  runner_->start();
  api_ = std::make_unique<Api>(core_, *runner_, links_, ::geteuid());
  open_console();
  server_ = std::make_unique<HttpServer>(std::move(control),
                                         [this](const HttpRequest& request, const Caller& caller) {
                                           return api_->handle(request, caller);
                                         });
}

/// A node without a page is a node all the same: what is in the way says `flexroom console`.
void Node::open_console() {
  const std::optional<uint16_t> port = ConsoleTerms::load(core_.member_file()).port;
  if (!port) return;
  try {
    api_->set_console_port(*port);
    console_ = std::make_unique<Console>(*port, *api_);
    api_->set_console(Console::origin_of(*port), "");
  } catch (const InputError& error) {
    api_->set_console("", error.what());
    core_.events().add("note", {{"text", std::string("no console: ") + error.what()}});
  }
}

Node::~Node() {
  console_.reset();
  server_.reset();
  runner_->finish();
  for (const auto& [member, link] : links_) link->stop();
  core_.set_changed(nullptr);
  links_.clear();
}

void Node::drain() {
  api_->drain();
  runner_->finish();
}

void Node::tell_all() {
  for (const auto& [member, link] : links_) link->tell_heads();
  runner_->wake();
}

}  // namespace flexroom::node
