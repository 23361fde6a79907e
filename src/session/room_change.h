#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agreement/switch.h"
#include "config/config.h"
#include "net/party.h"
#include "session/approval.h"
#include "session/member_state.h"
#include "store/room_register.h"

namespace flexroom::session {

/// How this run of `flexroom room change` goes about it: the same at all members.
enum class ChangeMode : uint8_t {
  kAll,   // with all of U: begins a change, or goes on with one
  kGoOn,  // with the members of T alone: LEFT of who leaves is waived (members.md §4.5)
  kBack   // with the members of S alone: who is not bound takes the change back
};

/// What the change is to make of the room, as one member has it.
struct ChangeWish {
  RoomConfig next;   // room.toml of then, the same at every member but for what is its own
  std::string text;  // its bytes
};

struct ChangeOptions {
  ChangeMode mode = ChangeMode::kAll;
  std::function<void(const std::string&)> note;
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(std::string_view)> fault;  // durable steps (tests)
  /// Why this room's secrets cannot be handed over now; empty: they can. `joins`: also to somebody
  /// who had none.
  std::function<std::string(bool joins)> hinders_rows;
  std::function<void(net::Party&)> connected;  // tests
  /// Asked once all propose the same.
  std::function<agreement::Answer(const Shown&)> decide;
};

/// Where this member stands when the command is over.
struct ChangeEnd {
  agreement::Place place = agreement::Place::kIdle;
  uint32_t number = 0;             // of the configuration that it is in
  bool complete = false;           // all of U came to their end
  bool handed_over = false;        // with new rows
  std::vector<std::string> names;  // members of that configuration
};

/// Changes who is in a room, under which keys, names and addresses, and whom its courier is
/// (members.md §2, 4): proposal, approval of all of S and T, the switch.
///
/// Guarantee  at every moment at most one of (S, g) and (T, g+1) can start a run; killed anywhere,
///            the same command goes on from the register in once.db; what a member signed it signed
///            after its place was durable, and nobody ends in two rooms (agreement/switch.h)
/// Not given  who vanishes inside the switch stops the room until it is back, as it would later
/// Errors     InputError; ProtocolAbort: kDisagreement naming member and value, kRefusedByRule
class RoomChange {
 public:
  /// `state`: opened for a change: of the room as it is where this member is in it, else of the
  /// room as it will be. `now`: that room, with this member's own certificate.
  RoomChange(MemberState& state, RoomConfig now, std::optional<ChangeWish> wish,
             ChangeOptions options);
  ~RoomChange();
  RoomChange(const RoomChange&) = delete;
  RoomChange& operator=(const RoomChange&) = delete;

  ChangeEnd run();

 private:
  struct Meeting;
  using Statement = agreement::Statement;
  using Kind = agreement::StatementKind;

  void reached(std::string_view step) const;
  void note(const std::string& text) const;
  store::RoomId rid() const;
  store::RoomRegister once_register() const { return {state_.once(), rid()}; }
  store::AuditLog log();
  /// A mid's register about the attempt; of one that it is not in, as if it had just come.
  agreement::Standing standing() const;
  bool is_of_attempt() const;
  void move(agreement::Move next);
  void say_what_is_due();
  void sign(Kind kind);
  bool take(const Statement& statement);
  agreement::Heard heard() const;
  void settle(bool someone_is_out, bool back);
  void finish_here();
  void move_in();
  void move_out();
  void enter_attempt(const store::ChangeStore::Attempt& attempt);
  std::vector<std::string> meeting_addresses() const;
  RoomConfig meeting_room() const;
  void meet();
  void hello();
  void take_over_attempt();
  void rounds();
  void begin();
  agreement::Configuration configuration_before(std::vector<agreement::ChangeBody>& chain);
  void check_ids(const agreement::Configuration& before);
  agreement::ChangeStart approve(const agreement::Configuration& before,
                                 const agreement::Configuration& next);
  void enter(agreement::ChangeStart start, const std::vector<agreement::ChangeBody>& chain);
  void become_ready();
  void require_rows_can_go(bool joins);
  bool hand_over_rows();
  bool is_wished(const agreement::Configuration& c) const;
  bool over_here();
  void with_the_others();
  void require_wish() const;
  agreement::Configuration configuration_now();
  agreement::Configuration configuration_then(const agreement::Configuration& before);
  std::vector<agreement::ChangeBody> exchange_chains(const agreement::Configuration* own);
  void tell_words(const agreement::Configuration& before, const agreement::Configuration& next);
  ChangeEnd end() const;

  MemberState& state_;
  const RoomConfig now_;
  const std::optional<ChangeWish> wish_;
  const ChangeOptions options_;
  store::ChangeStore store_;
  agreement::MemberId self_{};
  std::optional<store::ChangeStore::Attempt> attempt_;
  agreement::ChangeSets sets_;
  Digest id_{};  // a
  std::optional<agreement::ReadyBody> ready_;
  std::vector<Statement> statements_;  // of a, verified
  bool ready_differs_ = false, complete_ = false;
  std::unique_ptr<net::Party> party_;
  std::vector<net::SigningKey> keys_;  // by party, proved by the mesh
  std::vector<std::string> names_;     // by party
  std::unique_ptr<Meeting> meeting_;
};

/// What room.toml says otherwise than the configuration that came of the last change; empty if
/// nothing (members.md §1.1). Providers are compared where members meet.
std::string difference_to(const RoomConfig& room, const agreement::Configuration& configuration);

/// Which entry of a room is this member: by its certificate, else by its name in member.toml.
std::optional<size_t> own_entry(const RoomConfig& room, const net::Identity& identity,
                                const std::string& name);

}  // namespace flexroom::session
