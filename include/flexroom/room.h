#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "flexroom/decider.h"
#include "flexroom/error.h"
#include "flexroom/runs.h"

namespace flexroom {

namespace room {
class Access;  // this library's own way in
struct Hooks;
}  // namespace room
struct RunStarted;

struct RoomOptions {
  std::filesystem::path member_file;  // member.toml; it names room.toml and the state
  /// Set, at any time and from a signal handler, to stop what is running: Exit::kFailed.
  const std::atomic<bool>* cancel = nullptr;
  /// Only to show something: nothing on disk is changed, also where it cannot be (a read-only or
  /// full disk). No Session takes such a room.
  bool only_looks = false;
  /// If not empty: a file (mode 0600) that gets one line of JSON a message between the members.
  std::filesystem::path trace_file;
  const room::Hooks* hooks = nullptr;  // of this project's own tests, and of its node
};

/// A stored secret, as far as it is public to the members.
struct SecretInfo {
  std::string name;
  std::string kind;
  std::string value_class;
  uint64_t bytes = 0;
  uint64_t version = 0;
  std::vector<std::string> purposes;    // what it may be used for; none: nothing
  std::string provider;                 // whose hosts may get it
  uint64_t entropy = 0;                 // bits, as all members approved
  std::string owner;                    // member who gave the value; empty: an issuer's shares
  std::string record, set, provenance;  // hexadecimal; set: of rows, another after a refresh
  /// Who knows the value: the member who gave it; "issuer", who made the shares; "nobody": it was
  /// drawn inside MPC; "service": a flow kept it from a sealed answer, and no member ever saw it;
  /// "all members": a flow opened it, and it is no secret.
  std::string known_to;
};

struct LogEntry {
  int64_t unix_seconds = 0;
  std::string proposal;  // digest, hexadecimal
  std::string outcome;   // "approved", "done", "nothing happened", "effect may have happened" ..
  std::string text;
  bool joint = false;  // signed by all members, else by this one alone
  std::string head;    // of the hash chain, hexadecimal
  int status = 0;      // HTTP status of the service's answer; 0: none
};

struct Stock {
  uint64_t triples = 0;  // AND triples
  uint64_t bits = 0;
  uint64_t bytes = 0;  // on disk
};

/// What became of slots (Room::make_cover).
struct CoverMade {
  uint64_t made = 0;           // cover connections
  uint64_t left_to_calls = 0;  // slots that a call had
  uint64_t failed = 0;         // connections that did not come to their end
};

/// One request of the members to a service and what protects the connection that carried it.
struct ConnectionInfo {
  int64_t unix_seconds = 0;
  std::string session;   // in which it was made, hexadecimal
  std::string what;      // "call who-am-i", "FLOW: STEP"
  std::string host;      //
  std::string group;     // of its key exchange: "x25519mlkem768"
  bool retried = false;  // the service asked for another hello, a round trip more
  bool goes_on = false;  // on the connection of the request before it to that host
  /// Whoever recorded it, and all lines between the members, reads nothing of it with a later
  /// quantum computer, as long as no member gives away what it knew of it.
  bool outlasts_recording = false;
};
/// Connections to one host, all that were made since they are counted.
struct HostConnections {
  uint64_t count = 0;   // of this group and protection
  ConnectionInfo last;  // of them
};

struct RoomStatus {
  std::string member, room;
  std::vector<std::string> members;
  bool has_epoch = false;
  uint64_t epoch_made = 0;  // Unix seconds; 0: not known
  bool burned = false;      // a check of the boolean engine failed in this epoch
  bool needs_operator = false;
  uint64_t dirty = 0, life = 0, strikes = 0;
  std::string reason_to_refresh;  // empty: nothing asks for it
  /// What sessions that ended without a word left and is not counted yet: of this room, of others,
  /// and of rooms that nobody knows here any more; one sentence each.
  std::vector<std::string> open_marks;
  uint64_t secrets = 0;
  Stock stock;
  std::string certificate;                         // SHA-256, hexadecimal
  int64_t certificate_expires = 0;                 // Unix seconds
  std::vector<HostConnections> connections;        // by host and group
  std::vector<ConnectionInfo> newest_connections;  // requests, oldest first, at most 500
};

/// One member's side of a room: its configuration and state on disk, opened without any other
/// member. What all members do together is a Session (session.h).
///
/// Threads  one at a time; a second process of the same member is kept out where it would harm
/// Errors   Error, Exit::kBadInput: a missing or wrong file, a wrong key or passphrase, a lock
class Room {
 public:
  /// Asks for the passphrase of the state where member.toml says so.
  explicit Room(const RoomOptions& options);
  ~Room();
  Room(Room&&) noexcept;
  Room& operator=(Room&&) noexcept;

  RoomStatus status();
  /// Without the signing keys of a day, which are derived and made again when missing. Values that
  /// flows made are called "PREFIX:NAME", those of an open run "run/RUN:NAME".
  std::vector<SecretInfo> secrets();
  /// The newest version of that name; of a flow's value also NAME alone, where only one is so
  /// called.
  SecretInfo secret(const std::string& name);
  Stock stock();
  /// The whole log, oldest first, once its chain and all signatures were found right.
  std::vector<LogEntry> log();
  /// One entry in full, of an approval with the text that was approved; the first is 1.
  std::string log_entry_text(uint64_t number);
  /// The same as a line of the export.
  std::string log_entry_line(uint64_t number);
  /// One line of JSON an entry, oldest first, for an auditor (docs/log-format.md).
  /// `evidence`: with the signatures of this member's people and its rules opened, once they were
  /// found right; they are for the auditor alone.
  void export_log(const std::function<void(const std::string& line)>& sink, bool evidence = false);

  /// At the courier, alone: for so long, cover connections to the hosts whose entries have `cover`,
  /// one in each slot that no call of this member has (tls-complete.md §8.3). They look like the
  /// calls that were made, carry nothing, and nothing is taken of what is answered. `note` is told,
  /// by one thread at a time, what did not go well. Error: this member is not the courier, or there
  /// is nothing to look like.
  CoverMade make_cover(std::chrono::seconds time,
                       const std::function<void(const std::string&)>& note);

  /// This member's runs of run-script, oldest first.
  std::vector<RunInfo> runs();
  /// What of that history cannot be read: which file, what is wrong and what to do, one text each.
  /// runs() is without these; nothing of them is changed or removed.
  std::vector<std::string> damaged_runs();
  /// The run whose id begins so; "last": the newest, unless one that cannot be read may be newer.
  RunInfo run(const std::string& id);
  /// Looks once for this member's result, and keeps it in the run's folder; what is here already is
  /// given again. How the script ended is entered into the log. Error only where nothing came of
  /// it and nothing was changed: no such run, or one that has no result.
  RunResult collect_result(const std::string& id, Decider& decider);
  /// The same right after Session::run_script(), until the result is there or the run's deadline
  /// passed. No Error: whatever fails here, the machine was started.
  RunResult follow(const RunStarted& started, Decider& decider);
  /// With all members: ends the machine of a run by agreed calls, each approved, signed as the run
  /// was; where not all know the same machine, the one that the service lists for the run's client
  /// token. Of a run of --classic also its training job. What ended stays ended, whatever fails
  /// behind it: the same again does the rest.
  RunStopped stop_run(const std::string& id, Decider& decider);
  /// An operator's word, which nothing can replace: go on although batches ended without a verdict
  /// (or this machine was restored from a backup), and the epoch was not burned. Asks `decider`;
  /// false if it does not say yes. `life_before`: unfinished batches over the life of the relation.
  bool accept_peers(Decider& decider, uint64_t* life_before = nullptr);

 private:
  friend class room::Access;
  struct State;
  std::unique_ptr<State> state_;
};

/// An operator's word, which nothing can replace: the newest state.db of this member is gone for
/// good, with all backups of it. Asks `decider` with what that means named: the secrets that an
/// older state.db here holds and that stay, that all others are lost for all members, what else
/// is erased; false, and nothing is changed, if it does not say yes. Afterwards all members make a
/// new epoch (Session::init).
bool give_up_state(const RoomOptions& options, Decider& decider);

/// What is to change of who is in a room (members.md §2): the same at every member of before and of
/// then. A file, or what is another than in room.toml.
struct RoomChangeRequest {
  std::filesystem::path file;    // in the form of room.toml: the room as it is to be; empty: flags
  std::vector<std::string> add;  // "NAME=HOST:PORT,CERTIFICATE"
  std::vector<std::string> remove;       // "NAME"
  std::vector<std::string> rename;       // "OLD=NEW"
  std::vector<std::string> address;      // "NAME=HOST:PORT"
  std::vector<std::string> certificate;  // "NAME=SHA256": that member's new key and certificate
  std::string courier;                   // "NAME"
  bool go_on = false;                    // who leaves is not waited for: LEFT is waived
  bool back = false;                     // who is not bound takes back what is under way
};

struct RoomChanged {
  /// Where this member stands: "new": it is in the configuration below; "left"; "old": the change
  /// did not happen; "ready", "bound", "frozen": not decided yet, the same command goes on; "idle".
  std::string place;
  uint64_t configuration = 0;  // its number
  std::vector<std::string> members;
  bool complete = false;     // all who take part came to their end
  bool handed_over = false;  // secrets have new rows: make a new backup
};

/// Changes who is in the room, with all members of before and of then at the same time; or goes on
/// with a change that was interrupted, also by the end of this process. Nothing else runs in the
/// room before it is decided. Afterwards room.toml is what was changed.
RoomChanged change_room(const RoomOptions& options, const RoomChangeRequest& request,
                        Decider& decider);

}  // namespace flexroom
