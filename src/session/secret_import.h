#pragma once

#include <string>

#include "session/member_session.h"
#include "session/secret_file.h"

namespace flexroom::session {

/// Brings a secret into the store: authenticated at its owner(s), shares held against the issuer's
/// commitments, summed, re-masked, its class checked in MPC, stored as rows in two phases
/// (members.md §3.3). A list of commitments is asked about one class only, for ever (tls-in-mpc.md
/// §5.13). Returns what was stored.
store::RecordMeta import_secret(MemberSession& session, const SecretFile& file,
                                const Digest& proposal);

/// The record that an import makes, but for its id, set and provenance. Throws InputError if its
/// fields contradict each other or the room (check_secret_terms).
store::RecordMeta planned_record(const RoomConfig& room, const SecretFile& file);

/// What the members approve for an import: all fields, and `new` or `replaces NAME vK` (§5.1).
agreement::Proposal import_proposal(const RoomConfig& room, const SecretFile& file);

/// Throws InputError where this member's store has something else under that name: a secret that
/// the file does not say it replaces, another version, another owner, class, kind, provider,
/// entropy or set of purposes.
void check_import(MemberState& state, const SecretFile& file);
/// With all members, in a session: kDisagreement where they do not have the same version under that
/// name, then check_import(). Nobody waits for a member whose file is refused alone.
void agree_on_name(MemberSession& session, const SecretFile& file);

/// Erases all versions of a secret that was imported or drawn, on this member's disk alone: a part
/// of room/secret_removal.h, in its transaction.
void remove_secret(MemberState& state, const std::string& name);

}  // namespace flexroom::session
