#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "flow/flow.h"

// The key of a page under which a secret is encrypted (operations.md (e)): remembered in the room
// by its host, and compared with the one that a later run opens.

namespace flexroom::flow {

/// Below the prefix of the flows: a public value of class hex, page_key_digest() of the key that an
/// answered request last carried. No file makes a name of this kind.
inline constexpr std::string_view kPageKeyNames = "page-key/";
std::string page_key_name(std::string_view host);
/// 64 hex digits, of the parts as the page gives them.
std::string page_key_digest(std::string_view n, std::string_view e);
/// The prefix of the key of each JWE of the step, by the host that opens it: a file has one a host.
std::map<std::string, std::string> page_keys_of(const Step& step);
/// Of one host, as the members have it before they approve a run; more than one where they differ.
struct PageKey {
  std::set<std::string> before;                                    // of earlier runs
  std::set<std::string> now;                                       // what the open run has opened
  std::map<std::string, std::set<std::string>> before_of, now_of;  // who says so, by digest
};

/// Of one host, what all members together remember: the same at all of them. Nobody's word takes a
/// key away, it can only add one.
struct PinnedKey {
  std::set<std::string> digests;
  uint32_t version = 0;  // the newest of all
  bool differs = false;  // some remember another one, or none
};
/// A member's word of more ends the session; counting stops there.
inline constexpr uint32_t kMostPageKeyVersion = 1u << 30;

}  // namespace flexroom::flow
