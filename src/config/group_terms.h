#pragma once

#include "base/named_group.h"
#include "config/toml.h"

namespace flexroom {

/// Which key exchange a host is offered (tls-complete.md §1.1): `groups` and `pq`, of a provider's
/// table or of one of its hosts.
struct GroupTerms {
  Groups listed = all_groups();  // `groups`, in its order
  bool kem_required = false;     // `pq = "required"`

  /// What a hello offers: all of them, or where ML-KEM is required what has it.
  Groups offered() const;
  /// What the table does not say is as `fallback` has it. Throws InputError with line and remedy.
  static GroupTerms load(const TomlTable& table, const GroupTerms& fallback);
};

}  // namespace flexroom
