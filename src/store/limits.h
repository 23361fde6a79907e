#pragma once

#include <cstddef>
#include <cstdint>

/// What may stand in the state at most: its writers refuse more before anything is changed, its
/// readers take no more. One place for both, so that nothing can be written that cannot be read.
namespace flexroom::store {

inline constexpr size_t kMaxMembers = 16;

/// Names of rooms, members, secrets; what people write.
inline constexpr size_t kMaxNameBytes = 128;
inline constexpr size_t kMaxKindBytes = 64;
inline constexpr size_t kMaxPurposeBytes = 1024;
inline constexpr size_t kMaxPurposes = 16;
inline constexpr uint32_t kMaxSecretBytes = 4096;

/// What flexroom derives from a secret has a name made of it and of public fields beside it: a
/// region, a service, a day (session/signing_keys.cpp).
inline constexpr size_t kMaxScopeBytes = 64;
inline constexpr size_t kMaxDerivedNameBytes = kMaxNameBytes + 2 * kMaxScopeBytes + 32;
/// A reader takes this much, also of records written before these limits.
inline constexpr size_t kMaxMetaTextBytes = 512;
static_assert(kMaxDerivedNameBytes <= kMaxMetaTextBytes);

}  // namespace flexroom::store
