#pragma once

#include <span>
#include <string_view>

#include "base/error.h"
#include "base/hash.h"
#include "net/party.h"
#include "tls/hash_kind.h"

namespace flexroom::agent {

/// Place of a record in one direction of a connection (tls-in-mpc.md §4.1).
struct RecordPosition {
  uint32_t generation = 0;
  uint64_t sequence = 0;
};

/// The view hashes of one connection: what a member saw of it, compared before anything follows
/// from it (A1 to A4). Every view holds the scope (with csid), the number of the connection, the
/// step and the terms.
class Views {
 public:
  /// `terms`: hash of all that was agreed before, the connection's own settings included.
  Views(net::Party& party, const Digest& terms) : party_(party), terms_(terms) {}

  void set_number(uint64_t number) { number_ = number; }
  uint64_t number() const { return number_; }
  const Digest& terms() const { return terms_; }
  net::Party& party() const { return party_; }
  /// A request whose terms are known only now is next: bound from here on, beside all that was.
  void go_on(const Digest& terms) {
    terms_ = RandomOracle("next terms", RoScope{}).field(terms_).field(terms).digest();
  }
  RandomOracle of(std::string_view step) const;

  /// All send the hash of the same public thing; every member compares every other's with its own,
  /// so no echo is needed. Throws `mismatch` naming the member.
  void agree(std::string_view label, const Digest& own, AbortCode mismatch) const;
  /// Compares one member's hash with `own`.
  void expect(PartyId from, std::string_view label, const Digest& own, AbortCode mismatch) const;

 private:
  net::Party& party_;
  Digest terms_;
  uint64_t number_ = 0;
};

/// A record without its tag: what the tag is of.
struct RecordText {
  Bytes header, ciphertext;
};

/// A3: what a member's shares of the tags of a request stand for: all its records in their order
/// (§4.3), behind the client's flight where that is a record like them.
struct ReleaseView {
  tls::HashValue h2;
  Digest request{};         // request id
  RecordPosition position;  // of the first record
  std::span<const RecordText> records;
  const RecordText* flight = nullptr;  // the client's, where it is made inside (ClientFlight)
  uint64_t server_offset = 0;          // server bytes received so far: where the answer may begin
  Digest digest(const Views& views) const;
};

/// A4: what is judged once the server's key is open, fixed before a share of it leaves.
struct FreezeView {
  tls::HashValue h2;
  Digest stream{};  // of all server bytes
  uint64_t stream_bytes = 0;
  uint64_t request_offset = 0;
  uint64_t records = 0;
  bool trailing_partial = false;
  uint8_t end = 0;
  Digest digest(const Views& views) const;
};

}  // namespace flexroom::agent
