#pragma once

#include <vector>

#include "session/draw_file.h"
#include "session/member_session.h"

namespace flexroom::session {

/// The record that a birth makes, but for its id, set and provenance. Throws InputError if its
/// fields contradict each other or the room (check_secret_terms).
store::RecordMeta planned_record(const RoomConfig& room, const DrawFile& file, const Birth& birth);

/// What the members approve: how each value is drawn, by which list, `new` or `replaces NAME vK`,
/// what it may be used for (tls-in-mpc.md §5.1).
agreement::Proposal draw_proposal(const RoomConfig& room, const DrawFile& file);

/// Throws InputError where this member's store has something else under one of the names.
void check_draw(MemberState& state, const DrawFile& file);
/// With all members, in a session: kDisagreement where their files differ or they do not have the
/// same versions; then check_draw().
void agree_on_draw(MemberSession& session, const DrawFile& file);

/// Draws all values of the file in one circuit (agent/drawn_values.h) and stores them together as
/// rows, in two phases (members.md §3.3; born before used, tls-in-mpc.md §5.8): after a crash all
/// members have all of them, or none has any. Returns what was stored.
std::vector<store::RecordMeta> draw_secrets(MemberSession& session, const DrawFile& file,
                                            const Digest& proposal);

}  // namespace flexroom::session
