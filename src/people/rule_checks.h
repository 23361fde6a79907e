#pragma once

#include <set>
#include <string_view>

#include "base/bytes.h"
#include "people/rule.h"

// What Rule::require_sound() looks at, piece by piece, so that people.toml is refused at its line.
// Each throws InputError at `place`.

namespace flexroom::people {

inline constexpr std::string_view kOneKeyProblem =
    "is a rule in which one lost key stops this member";
inline constexpr std::string_view kOneKeyRemedy =
    "give each person a second key, or name one person more than are needed; --i-have-one-key "
    "takes it as it is";

void check_key(const Key& key, std::string_view place);
void check_person(const Person& person, std::string_view place);
/// Of kApprove or kAdminister.
void check_quorum(const Rule& rule, Role role, std::string_view place);
/// Neither the key's id nor the key itself was seen before; adds them.
void check_unique(const Person& person, const Key& key, std::set<Bytes>& ids, std::set<Bytes>& keys,
                  std::string_view place);

}  // namespace flexroom::people
