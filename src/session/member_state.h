#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "net/identity.h"
#include "net/pair_key.h"
#include "people/rule_store.h"
#include "prep/epoch.h"
#include "prep/triple_parameters.h"
#include "store/audit_log.h"
#include "store/epoch_store.h"
#include "store/once_db.h"
#include "store/room_store.h"
#include "store/secret_store.h"

namespace flexroom::session {

/// Of the room's profile: how many batches may end without a verdict.
store::OnceDb::Limits limits_of(const RoomConfig& room);
/// How the room makes AND triples, of its profile and its `triples`.
prep::TripleParameters triple_parameters_of(const RoomConfig& room);
/// How an epoch of the room is made (boolean-engine.md §0): of the members and of `link`.
prep::EpochParameters epoch_parameters_of(const RoomConfig& room);
/// The protocol number that the room speaks (boolean-engine.md §8.3).
uint16_t protocol_of(const RoomConfig& room);

/// state.db, opened with the key file or passphrase that member.toml names. Made only for a member
/// that has nothing yet, or one that `lost` it: where a once.db or its key lies, it is missing.
std::unique_ptr<store::SealedDb> open_state_db(
    const MemberConfig& member, bool lost = false,
    store::SealedDb::Access access = store::SealedDb::Access::kUse);

/// The operator's word that the newest state.db of this member is gone for good: its epoch with
/// this room is given up, and the next new epoch can be made. Rows that an older state.db holds
/// stay: they are of use if no refresh came since. Other rooms of the folder stay.
void give_up_state(const RoomConfig& room, const MemberConfig& member);

/// What that changes here. Nothing is changed by looking.
struct GivenUp {
  bool there = false;               // a state.db lies there, an older one then
  std::vector<std::string> rows;    // "NAME vK": of the room in it, which stay
  std::vector<std::string> erased;  // of the form of before rows: they go with the epoch
  uint64_t made = 0;                // its epoch, Unix seconds; 0: none, or not known
  uint64_t triples = 0;             // of the preprocessed stock beside once.db, which goes
};
GivenUp look_at_given_up(const RoomConfig& room, const MemberConfig& member);

/// Of room.toml and the ids and keys of its members, in its order: what is signed of a room, but
/// for the number and what came before. `addresses`: the room has changed through the switch, which
/// carries them; before that where a member is reached is each one's own affair.
agreement::Configuration configuration_of(const RoomConfig& room, const store::RoomId& rid,
                                          const std::vector<store::MemberId>& mids,
                                          const std::vector<net::SigningKey>& keys, bool addresses);

/// What a state is opened for.
enum class OpenedFor : uint8_t {
  kRun,    // anything but a change: refused where the register says so (members.md §4.2)
  kChange  // `flexroom room change`, which finishes what is under way
};

/// This member's own state, opened without any peer: identity, databases, log.
class MemberState {
 public:
  /// Asks for the passphrase if member.toml says so. `fault` as in SecretStore and Pool. Throws
  /// InputError (missing identity, wrong key file or passphrase, locked database ...).
  /// With kLook nothing on disk is changed, and nothing that is changed here stays: for commands
  /// that only show something.
  /// `db`: state.db, if it is open already.
  MemberState(RoomConfig room, MemberConfig member,
              std::function<void(std::string_view)> fault = nullptr,
              store::SealedDb::Access access = store::SealedDb::Access::kUse,
              OpenedFor purpose = OpenedFor::kRun, std::unique_ptr<store::SealedDb> db = nullptr);
  ~MemberState();
  MemberState(const MemberState&) = delete;
  MemberState& operator=(const MemberState&) = delete;

  const RoomConfig& room() const { return room_; }
  const MemberConfig& member() const { return member_; }
  PartyId self() const { return self_; }
  const net::Identity& identity() const { return identity_; }
  /// With the other members, of earlier meshes of this object.
  net::PairKeys& pair_keys() { return pair_keys_; }
  /// The room's id for life (members.md §1.1): what belongs to the room on disk is found by it. It
  /// has none before its first epoch; throws InputError then.
  const store::RoomId& rid() const;
  /// Zeros before.
  store::RoomId rid_or_none() const;
  bool founded() const { return record_.has_value(); }
  /// The members' ids for life, by party; also before the room has its own.
  const std::vector<store::MemberId>& mids() const { return mids_; }
  /// Gives the room its id, and the members theirs, on disk. Part of a transaction on db().
  void found(const store::RoomId& rid, const std::vector<store::MemberId>& mids);
  /// The last step of a change here (members.md §4.2 "new", 4.4), once the register says so: the
  /// members, names and keys of `change`, its entry in the log and what `also` writes, in one step
  /// with the rows and the epoch that were staged for it, if any. The old ones are erased.
  void move_to(const agreement::ChangeBody& change, const Digest& attempt,
               const std::function<void()>& also);
  /// This member has left: its rows and its epoch are erased.
  void leave(const std::function<void()>& also);
  /// The epoch of the members of then, used by nobody before move_to().
  void stage_epoch_for_change(const store::RoomId& rid, const store::EpochStore::Saved& epoch);
  void drop_staged_of_change(const store::RoomId& rid, const Digest& attempt);
  /// The configuration that came of the room's last change; nothing while it is as it was founded.
  const std::optional<agreement::Configuration>& changed() const { return changed_; }
  /// Enters into once.db what sessions that ended without a word left behind (store/open_mark.h).
  void settle_open_marks();
  /// What of these is not entered yet, of this room and of others, one sentence each. Changes
  /// nothing.
  std::vector<std::string> open_marks();
  /// Erases what a burned epoch has left in state.db: its global key and base seeds. Nothing while
  /// it is not burned.
  void erase_burned_epoch();
  /// Names of the other rooms of this state folder.
  std::vector<std::string> other_rooms();
  /// No certificate, and no id, was ever seen with another one here.
  bool member_fits(PartyId i, const store::MemberId& id);
  store::SealedDb& db() { return *db_; }
  store::OnceDb& once() { return *once_; }
  store::SecretStore& secrets() { return *secrets_; }
  /// What is under the keys of the present epoch: the day's signing keys.
  store::LoadedStore& loaded() { return *loaded_; }
  /// Secrets of the room that still lie as they did before there were rows.
  std::vector<store::RecordMeta> secrets_of_before();
  /// Identity keys of all members, known after the first join. Throws InputError before.
  std::vector<net::SigningKey> signing_keys();
  /// After a join, which proved them: also the members' certificates are from now on those of
  /// room.toml, each with the id of its member's name.
  void save_signing_keys(const std::vector<net::SigningKey>& keys);
  bool has_epoch();
  /// When the epoch was made, Unix seconds by this member's clock; 0: no epoch, or not known.
  uint64_t epoch_made();
  store::AuditLog log();
  /// Who speaks for this member in this room (members.md 7.1).
  people::RuleStore people();
  /// What room.toml and the members' keys make of the room now; known after the first join.
  agreement::Configuration configuration();
  /// Runs that ended with their process get their entry, unless another process of this member
  /// may still be at it.
  void settle_runs();
  /// The newest committed secret of that name. Throws InputError naming the remedy, also where two
  /// records have the name, and for what belongs to an open run (`run/RUN:NAME`): that run loads
  /// its values by their records, and no one else has any use of them.
  store::RecordMeta secret(const std::string& name);

 private:
  void enter_room();
  void require_agreed_members() const;
  void meet_once_db(const std::optional<Digest>& epoch);
  bool take_over_old_room();
  /// Under which rooms lie that were made before there were ids.
  Digest old_room_digest() const;

  RoomConfig room_;
  MemberConfig member_;
  PartyId self_;
  net::Identity identity_;
  net::PairKeys pair_keys_;
  std::function<void(std::string_view)> fault_;
  std::unique_ptr<store::SealedDb> db_;
  std::optional<store::RoomRecord> record_;
  std::optional<agreement::Configuration> changed_;
  std::vector<store::MemberId> mids_;
  std::vector<net::SigningKey> keys_;  // of a join before the room has its id
  std::unique_ptr<store::OnceDb> once_;
  std::unique_ptr<store::SecretStore> secrets_;
  std::unique_ptr<store::LoadedStore> loaded_;
};

}  // namespace flexroom::session
