#pragma once

#include <optional>
#include <span>
#include <string>

#include "session/member_session.h"

namespace flexroom::session {

/// The newest committed secret of that name, if there is one.
std::optional<store::RecordMeta> newest_secret(store::SecretStore& secrets,
                                               const std::string& name);

/// tls-in-mpc.md §5.1, names: what stands under the name of `planned` in this member's store is the
/// version that it replaces, and the same secret in everything but its value. Throws InputError
/// naming the field.
void check_secret_name(store::SecretStore& secrets, const store::RecordMeta& planned);

/// With all members, in a session: throws kDisagreement where they do not have the same version
/// under one of these names. The same names in the same order at all of them. `operation` for
/// messages.
void agree_on_secret_names(MemberSession& session, std::span<const std::string> names,
                           std::string_view operation);

/// The id of a record for that name: of the version that is there, or a coin of all.
store::RecordId record_id_for(MemberSession& session, const std::string& name);

}  // namespace flexroom::session
