#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/prg.h"
#include "base/secret.h"
#include "config/config.h"
#include "net/party.h"

namespace flexroom {

/// What every member may know of another member's link: host, public query parts, lengths.
struct PublicLink {
  std::string public_prefix;
  uint32_t path_bytes = 0;
  std::string public_query;
  uint32_t tail_bytes = 0;
  /// When it ends, seconds since 1970, by its owner's word: where the public query does not say, as
  /// the whole query is private, and the link itself does. 0: nothing is said.
  int64_t says_end = 0;
};

/// What every member knows of another member's links.
struct PublicLinks {
  std::string member;  // its name in room.toml
  PublicLink data, result;
  /// Where the machine can fetch the loader if this member carries it: its loader_url, or what it
  /// wrote to its result link.
  std::optional<PublicLink> carrier;
  /// The private parts of data and result under this member's key, two hex digits a byte. The
  /// loader holds them; only the machine gets the keys.
  std::string sealed;
};

/// One member's own links of one run, and the key that seals them: drawn for this run, so that
/// equal links of two runs do not look equal. Wiped.
class OwnLinks {
 public:
  /// Characters of [A-Za-z0-9+/] of a key: 132 bits.
  static constexpr uint32_t kKeyBytes = 22;

  OwnLinks(PrivateUrl data, PrivateUrl result, std::optional<PrivateUrl> carrier, Prg& prg);
  OwnLinks(const LinksConfig& links, std::string_view place, Prg& prg);
  /// With a key that was drawn before, for what waits. Throws InputError if it is none.
  OwnLinks(const LinksConfig& links, std::string_view place, SecretBytes key);
  OwnLinks(const OwnLinks&) = delete;
  OwnLinks& operator=(const OwnLinks&) = delete;
  ~OwnLinks();

  PublicLinks public_part(std::string_view member) const;
  /// This member's private string in the user data: if it carries the loader the path and signature
  /// of the link to it, then its key.
  std::string private_part(bool carries) const;
  /// Another key, as the first constructors draw it.
  static SecretBytes draw_key(Prg& prg);

 private:
  PrivateUrl data_, result_;
  std::optional<PrivateUrl> carrier_;
  std::string key_;
};

/// XOR with SHA-256(key "." 0), SHA-256(key "." 1) ..: what the loader undoes in the machine.
/// A key seals one text. The digest of the loader protects its integrity. Hex of the result.
std::string seal_links(std::string_view key, std::string_view text);

/// Every member tells the others the public part of its links; the result is equal everywhere, by
/// member, and checked. Throws ProtocolAbort(kRefusedByRule) naming a member whose part is no part
/// of links, kDisagreement if one told two things.
std::vector<PublicLinks> exchange_links(net::Party& party, const RoomConfig& room,
                                        const PublicLinks& own);

/// The member whose link carries the loader to the machine: the one whose link costs the fewest
/// gates. Throws InputError if no member has a link that can.
size_t carrier_of(const std::vector<PublicLinks>& links);

/// Checks another member's public part before it goes into a script that all members run: name,
/// lengths, characters, https. Throws InputError naming that member.
void check_public_links(const PublicLinks& links);

}  // namespace flexroom
