#pragma once

#include <string_view>

#include "flow/loader.h"

namespace flexroom::flow {

/// A token that authorises a later request is a secret, also before sign-in: who has it can make
/// that request in the members' place (tls-in-mpc.md §4.6 R2-7). What keeps it one are the loader's
/// rules that an open answer keeps nothing and that a request with a secret has a sealed answer,
/// and this one: what an answer opened is no token.

/// Whether a name (of a field, a member, a header) says by one of its words that what it names
/// authorises: `token`, `session`, `code`, `csrf` .. and their kin.
bool names_token(std::string_view name);
/// Whether what stands in the slot authorises the request: a crumb of the Cookie line, or a header,
/// field or member that names_token().
bool is_token_place(const SlotUse& use);

/// Refuses slots of values that an answer opened where is_token_place(), and anywhere where the
/// answer has them in a place that names_token(). What a person types is no answer's.
void check_tokens(const Loading& in);

}  // namespace flexroom::flow
