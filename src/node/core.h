#pragma once

#include <ctime>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "flexroom/room.h"
#include "inbox/inbox.h"
#include "node/events.h"
#include "node/peer_link.h"
#include "room/waiting.h"
#include "session/member_state.h"

namespace flexroom::node {

/// Since 1970, as statements have it.
inline uint64_t now_seconds() { return static_cast<uint64_t>(std::time(nullptr)); }

/// What a node holds open for as long as it lives: this member's state, its inbox, and the lock
/// that no other node of this member runs.
///
/// Threads  with() one at a time; everything else any
/// Errors   InputError: another node runs, the room is not set up
class Core final : public LinkWork {
 public:
  /// Asks for the passphrase of the state where member.toml says so.
  explicit Core(const std::filesystem::path& member_file);
  ~Core() override;

  const std::filesystem::path& member_file() const { return member_file_; }
  const MemberConfig& member() const { return member_; }
  const RoomConfig& room_config() const { return room_config_; }
  PartyId self() const { return self_; }
  const std::vector<agreement::MemberId>& mids() const { return mids_; }
  const net::Identity& identity() const { return state_->identity(); }
  std::string name_of(const agreement::MemberId& member) const;
  Events& events() { return events_; }

  struct Open {
    Room& room;
    session::MemberState& state;
    ::flexroom::inbox::Inbox& inbox;
  };
  /// Runs `body` with state and inbox, which nobody else has meanwhile.
  template <typename Body>
  auto with(Body body) {
    const std::lock_guard lock(mutex_);
    return body(Open{*room_, *state_, *inbox_});
  }
  /// After a session: where it changed the configuration, the inbox is opened anew.
  void follow_configuration();
  /// Something changed that runs and peers should look at. Set once, before any link is.
  void set_changed(std::function<void()> changed) { changed_ = std::move(changed); }
  void set_meet(std::function<void(const agreement::MemberId&)> meet) { meet_ = std::move(meet); }
  void changed();
  /// What would run of a proposal that is known here; check() of the inbox, too.
  room::Waiting waiting(const Digest& proposal);
  /// Chains of statements that wait or stopped, by author: a sentence each.
  /// Until when no session is begun with that member, after many that failed; 0: one may be.
  uint64_t paused_until(const agreement::MemberId& member);
  std::vector<std::string> stopped(const agreement::MemberId& member);

  /// Approves what this member's standing rules cover (members.md §6.5). Whether there was
  /// something.
  bool apply_rules();

  // LinkWork
  LinkHello hello() override;
  void heard_hello(const agreement::MemberId& peer, const LinkHello& hello) override;
  Bytes heads() override;
  Bytes missing(const agreement::MemberId& peer, ByteView heads) override;
  Bytes give(const agreement::MemberId& peer, ByteView missing) override;
  bool take(const agreement::MemberId& peer, ByteView bundle) override;
  void asked_to_meet(const agreement::MemberId& peer) override;
  void link_changed(const agreement::MemberId& peer) override;

 private:
  void open_inbox();
  const std::filesystem::path member_file_;
  MemberConfig member_;
  RoomConfig room_config_;
  Fd lock_;
  PartyId self_ = 0;
  Events events_;
  std::mutex mutex_;
  std::unique_ptr<Room> room_;
  session::MemberState* state_ = nullptr;
  std::vector<agreement::Configuration> configurations_;
  std::vector<agreement::MemberId> mids_;
  std::unique_ptr<inbox::Inbox> inbox_;
  std::map<agreement::MemberId, std::vector<std::string>> stopped_;
  std::string rules_problem_;
  std::function<void()> changed_;
  std::function<void(const agreement::MemberId&)> meet_;
};

/// Whether a node of this member runs now: the lock of its state folder is held. For commands that
/// need what it holds.
bool node_runs(const std::filesystem::path& state_dir);

}  // namespace flexroom::node
