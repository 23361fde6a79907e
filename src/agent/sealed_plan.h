#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "http/select.h"

namespace flexroom::agent {

struct SealedCookie {
  http::CookieQuery query;
  bool missing_same = false;  // no line for name, path and domain: the old version stays (§5.6)
};
/// `header NAME: BEFORE{{}}AFTER`
struct SealedHeader {
  std::string name, before, after;
};
/// `json P` and `json-number P`. All paths of a plan that have an item have the same.
struct SealedJson {
  std::vector<http::JsonStep> path;
  bool number = false;
};
/// `xml /A/B/C`
struct SealedXml {
  std::vector<std::string> path;
};
/// `pattern "LIT" CLASS "TERM"` over the whole of a body that is neither JSON nor XML (§5.5). To be
/// absent it is the literal alone.
struct SealedPattern {
  std::string literal;
  http::CharSet run_class, terminator;
  /// Places that hold a blank, ascending, of the longest run: those inside a run are tested in the
  /// class bit and dropped. All else of the run is of the item's class.
  std::vector<size_t> blanks;
};
using SealedPlace = std::variant<SealedCookie, SealedHeader, SealedJson, SealedXml, SealedPattern>;
enum class SealedBodyKind : uint8_t { kJson, kXml, kText };

struct SealedItem {
  enum class Fate : uint8_t {
    kKeep,  // stays as authenticated bits
    kOpen,  // opened in phase 6, to all or to one
    kTest,  // must be `equals` (assert), one bit; without a text: the element must be there
    /// Must not be there (assert): no such place; of `after` or a pattern the literal stands
    /// nowhere in it, one bit. Of other places shown is what selecting them shows: of a header
    /// which lines have its name, their structure, and which begin with `before`; of JSON and XML
    /// the tests of names on the way. Not of a cookie.
    kAbsent,
  };
  SealedPlace at;
  std::optional<std::string> behind;  // `after "LIT"`: the run of the class behind it
  Fate fate = Fate::kKeep;
  std::optional<PartyId> to;  // kOpen: that member alone
  std::string equals;         // kTest
  http::CharSet char_class;   // kKeep, kOpen: checked inside, one bit for all
  size_t min_bytes = 1, max_bytes = 64;
};

/// Which of these an answer of another status names, or none: `other` (§5.6).
struct SealedCodes {
  std::variant<SealedJson, SealedXml> at;
  std::vector<std::string> one_of;  // 1 to 32, a letter and up to 63 of [A-Za-z0-9._-]
};

/// Requests of a sealed connection that are laid out only behind the answer before them (§4.9), as
/// those of a flow are: how many at most, and what they and their answers may take. Public, part of
/// every view.
struct RequestsToCome {
  size_t count = 0;
  size_t request_bytes = 0;              // of the longest
  size_t records = 0, record_bytes = 0;  // of all answers together, as SealedPlan has them
  /// Bytes of the service that are taken at all.
  size_t max_stream() const { return record_bytes + records * 300 + count * (size_t{1} << 20); }
};

/// What becomes of a sealed answer (tls-in-mpc.md §5.1 Policy, §5.4, §5.6), equal at all members
/// and part of every view. Nothing of the answer is opened but its status, its outline and what an
/// item says. Where the rules are:
///
/// §4.5 tags before anything, type bytes            SealedRecords
/// §4.2, §4.11 keystream as far as it is needed     SealedAnswer::decrypt, SealedCircuits
/// §5.4 outline marks, zero tests, selectors        SealedReading, SealedBytes, http/select.h
/// §5.6 phases, failures by name, one class bit     SealedReading
/// §5.7 framing, one table with the open parser     SealedReading::read_body, http::body_framing
struct SealedPlan {
  std::vector<int> statuses = {200};  // whose header or body is read: 200 to 499, not 408
  std::string content_type = "application/json";  // of a body that is read
  size_t header_max = 2048, body_max = 4096;
  size_t max_chunks = 4;        // of a chunked body, at most 16
  size_t records = 4;           // that are looked at, tickets included; more is an unknown outcome
  size_t record_bytes = 32768;  // of them together, in ciphertext
  /// Blocks, 5 120 ANDs each, for padding behind the last block of a record (§4.5: at most 64
  /// zeros) and for the headers of further messages in a record (§3.6).
  size_t spare_blocks = 4;
  /// KeyUpdates of the server that are prepared for (§3.6); one more is an unknown outcome. Each is
  /// a generation of keys in full, so that none is the default: no service was seen to send one
  /// within an answer.
  size_t key_updates = 0;
  size_t tests_max = 128;
  /// Another request may follow on the connection (§4.9(1)): the answer is read as far as its own
  /// framing goes, and the header is always read. Costs a second header window, and some blocks
  /// for what comes in pieces (SealedCircuits).
  bool keep_alive = false;
  std::vector<SealedItem> items;  // none: the status alone
  std::optional<SealedCodes> codes;

  static constexpr size_t kCodeCapacity = 512;  // of a text that is searched, its end included
  static constexpr size_t kMaxRecords = 16, kMaxRecordBytes = size_t{1} << 20;
  static constexpr size_t kMaxHeader = 16384, kMaxBody = 65536, kMaxChunks = 16;
  static constexpr size_t kMaxSpareBlocks = 128, kMaxKeyUpdates = 8;

  bool reads_header() const { return !items.empty() || codes.has_value() || keep_alive; }
  /// Of an answer in `statuses`.
  bool reads_body() const;
  bool prepares_body() const { return reads_body() || codes.has_value(); }
  /// All selectors on the body, those of codes too, are of one kind.
  SealedBodyKind body_kind() const;
  /// Bytes of the service behind its Finished that are taken at all.
  size_t max_stream() const { return record_bytes + records * 300 + (size_t{1} << 20); }
  /// Throws InputError for what is not built or does not go together.
  void require_valid(size_t num_members) const;
  Digest digest() const;
};

}  // namespace flexroom::agent
