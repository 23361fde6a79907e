#pragma once

#include <nlohmann/json.hpp>

#include "people/rule.h"

namespace flexroom::people {

/// A rule as commands and the node show it: public parts alone. `with_words`: four words of each
/// key, a second each.
nlohmann::json rule_json(const Rule& rule, bool with_words);
nlohmann::json key_json(const Key& key, bool with_words);
/// The four words that its person reads to an administrator.
std::string words_of(const Key& key);

}  // namespace flexroom::people
