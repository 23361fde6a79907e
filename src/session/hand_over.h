#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/secret.h"
#include "net/party.h"
#include "prep/epoch.h"
#include "prep/prep.h"
#include "prep/triple_parameters.h"
#include "store/record_meta.h"
#include "store/secret_store.h"

// The hand-over of a room's secrets from the members S of a configuration to the members T of the
// next one (members.md 1.2, 3.2 to 3.4, 4.3 H1 to H8). What makes the new rows the rows of the
// room, or drops them, is the switch (members.md 4); nothing here changes a row that is in use.

namespace flexroom::session {

/// What all may know of a room's secrets and goes along with them (members.md 3.5). Bytes:
/// docs/formats.md.
struct Carried {
  /// Every version of every secret. Equal at all of S, in every field; sorted by (id, version).
  std::vector<store::RecordMeta> metas;
  /// What else must be equal at all of S, by a name that a person reads in the refusal: public
  /// values that flows left in the room, for one.
  std::map<std::string, Bytes> facts;
  /// The leak ledger: bits spent, by account. Members may differ after a crash: the largest counts.
  std::map<std::string, uint32_t> ledger;
  /// Used prefixes and unresolved runs, by the caller's ids. The union counts (the same reason).
  std::set<Bytes> prefixes, unresolved;

  /// Canonical. Throws InputError beyond the limits.
  Bytes encode() const;
  /// What encode() would write and nothing else. `from`: whose message it is; throws ProtocolAbort
  /// kBadFrame naming it.
  static Carried decode_from(ByteView bytes, std::string_view label, PartyId from);
  /// Of this member's own disk: throws InputError.
  static Carried decode(ByteView bytes);
  /// RO("handed over", encode()): the metas of READY (members.md 4.3 V1).
  Digest digest() const;
  bool operator==(const Carried& other) const { return encode() == other.encode(); }

  static constexpr size_t kMaxSecrets = 4096, kMaxEntries = 100'000, kMaxKeyBytes = 1024;
  static constexpr size_t kMaxFactBytes = 1 << 20, kMaxBytes = size_t{32} << 20;
  /// All rows of one hand-over together, of one member: it is held in memory as authenticated bits.
  static constexpr size_t kMaxRowBytes = 256 << 10;
};

/// What the members of U = S and T know alike before they meet for one attempt.
struct HandOverTerms {
  /// a = RO("attempt", ..) (members.md 2). Compared; nothing else is done with it.
  Digest attempt{};
  /// S and T as indices into U (the party's). `to` in the order of the members of CONF_{g+1}: party
  /// k of E_T is to[k]. Each 2 to 16, no index twice, every party of U in at least one of them.
  std::vector<PartyId> from, to;
  /// How E_U and E_T are made: `identities` are those of U by party, and of T in the order of `to`.
  prep::EpochParameters of_union, of_next;
  /// Of the room's profile. No AND triple is made; its zero tests are.
  prep::TripleParameters triples;
};

enum class HandOverEpoch : uint8_t { kUnion, kNext };  // E_U, E_T

/// What a hand-over asks of this member's own state. Whatever a call throws ends the attempt: the
/// others hear that this member stopped, and no READY of it can follow.
class HandOverState {
 public:
  virtual ~HandOverState() = default;

  /// Called at members of S, once for each secret, before freeze(): its row (prep/rows.h).
  virtual SecretBytes row(const store::RecordMeta& meta) = 0;
  /// Called once at members of S - T. The place "frozen" is durable when it returns (members.md
  /// 4.2); what this member's row is used for comes after.
  virtual void freeze() = 0;
  /// Called once at members of T. `rows` are this member's, with their metas (a new `set`, all else
  /// as before), `carried` has the same metas. Durable when it returns, beside the present rows,
  /// which nothing touches. READY may be said only of what is staged.
  virtual void stage(std::span<const store::Record> rows, const Carried& carried) = 0;
  /// Called at members of T after stage(): the row as it lies on the disk. The trial load uses
  /// these bytes, not those that were staged (members.md §3.4).
  virtual SecretBytes staged_row(const store::RecordMeta& meta) = 0;

  /// Counters for that epoch, which is not the room's: LIFE towards the others who are in it
  /// (members.md 3.2). kNext is asked for at members of T only.
  virtual prep::Safety& safety(HandOverEpoch epoch) = 0;
  /// A check of that epoch failed: durable when it returns; the others are told afterwards. LIFE
  /// counts; the room's own epoch is not burned by it. The peer of `abort`, if it names one, is an
  /// index into U.
  virtual void failed(HandOverEpoch epoch, const ProtocolAbort& abort) = 0;
};

/// What came of it at this member.
struct HandedOver {
  /// With the new `set` in every meta: what a member of T staged. At members of S - T too.
  Carried carried;
  /// carried.digest(): of READY, equal at all of U.
  Digest metas{};
  /// E_T, at members of T; its eid goes into READY. Nothing of it is stored yet. In a session of
  /// its own it serves the new room as any epoch (prep/session_hello.h).
  std::optional<prep::EpochState> next;
};

/// Hands all secrets over from S to T. Called by all of U alike, first thing on a mesh of exactly
/// these members.
///
/// Steps      1 metas, ledgers, marks of S are told to U, echoed, compared and joined (H1)
///            2 E_U is set up by U and stored nowhere (H2)
///            3 the rows of S are loaded in it, in one ZERO; who is not in S gives nothing (H3-H5)
///            4 fresh rows, each opened to its owner in T alone (H6, H7); T: stage()
///            5 T sets E_T up and loads the staged rows in it (H8); S - T has returned before
/// In         `carried`: of this member, if it is in S; else nothing of it is read
/// Guarantee  members.md §1.3. The new rows are of the values that the rows of S are of, or abort,
///            as long as one of S is honest; who misses one row of S and one row of T sees nothing
///            of a value, whatever it does. When a member of T returns, its staged rows were used
/// Afterwards the party goes on as before: the statements of the switch may use it. Its scope is of
///            E_U
/// Cost       100 secrets of 40 bytes, 3 to 4: docs/spec/members.md 12
/// Aborts     kDisagreement (other terms; another description of a secret, naming record and field
///            and who says so; kinds, limits), kRowTag (rows do not fit: nothing says whose), and
///            what set-up, preprocessing and openings throw. A boolean cheat was told to
///            state.failed() before anything else; the mesh is closed then. No check here touches
///            an epoch or a row of the room
/// Throws     InputError for terms or own state that cannot be; the others are told and the mesh is
///            closed
HandedOver hand_over(net::Party& party, const HandOverTerms& terms, const Carried& carried,
                     HandOverState& state);

}  // namespace flexroom::session
