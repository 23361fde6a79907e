#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "config/toml.h"
#include "tls/padding.h"

namespace flexroom {

/// What somebody who sees the courier's line to a host is to learn less of (tls-complete.md §8.2,
/// §8.3): `pad`, `cover` and `slots`, of a provider's table or of one of its hosts.
struct TrafficTerms {
  tls::Padding pad = tls::Padding::kNone;      // `pad`: of every record of a request
  std::string cover;                           // `cover`: "HEAD /"; empty: no cover connections
  std::optional<std::chrono::seconds> period;  // `slots`: when connections begin; any time

  /// What the table does not say is as `fallback` has it. Throws InputError with line and remedy.
  static TrafficTerms load(const TomlTable& table, const TrafficTerms& fallback);
  /// Whether the table says anything of it.
  static bool is_said(const TomlTable& table);
  /// `slots` as room.toml says it; empty: no timetable.
  std::string slots_text() const;
};

}  // namespace flexroom
