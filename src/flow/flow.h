#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/text_code.h"
#include "config/config.h"
#include "flow/selector.h"

// One flow file (operations.md (a) to (c)) as typed data, after every rule of the loader held.

namespace flexroom::flow {

/// Where one thing stands: file:line:column.
using Place = std::string;

/// Bits that tests with texts chosen at run time may show of one secret in its life
/// (tls-in-mpc.md §5.6).
inline constexpr unsigned kLifeBits = 8;
/// What lies at the bottom of a short secret (tls-in-mpc.md §3.4).
inline constexpr unsigned kFullEntropy = 128;
/// Of the built-in pause behind 429 and 5xx.
inline constexpr unsigned kThrottleTries = 5;
/// How long a released record may still arrive, by what its step leaves (operations.md (c)).
inline constexpr int64_t kSettleSeconds = 120, kSettleLeavesSeconds = 600;

/// Names with a meaning of their own: run, room, idempotency, client-metadata.
bool is_built_in(std::string_view name);
inline bool is_of_run(std::string_view name) { return name.starts_with("run/"); }

struct Argument {
  std::optional<std::string> fallback;
  Place place;
};
struct Input {
  std::string from;  // a member, or {{ARGUMENT}}
  std::string kind;  // card, telephone, postal; or empty
  ValueClass value_class = ValueClass::kDigits;
  uint32_t length = 0;
  std::vector<std::string> purposes;
  Place place;
};
struct Birth {
  std::optional<ValueClass> alphabet;  // else a list
  std::string list;                    // its file
  std::vector<std::string> entries;    // 2^k, sorted, of one length
  uint32_t length = 0;                 // characters that are drawn
  std::string suffix;
  bool identifies = false;
  std::vector<std::string> purposes;
  double bits = 0;
  Place place;
  /// The narrowest class that holds what is drawn and the suffix.
  ValueClass value_class() const;
  uint32_t bytes() const;  // with the suffix
};

struct Keep {
  std::string name;
  Selector at;
  ValueClass value_class = ValueClass::kRaw;
  uint32_t min = 0, max = 0;
  std::vector<std::string> purposes;
  uint32_t entropy = 0;
  std::optional<TextCode> decode;
  bool missing_same = false;  // a cookie: no line keeps the old one
  bool replace = false;
  Place place;
  /// Equal for all that is one secret.
  std::string signature() const;
  /// As it lies in the room: what `decode` makes of the text is any bytes.
  ValueClass stored_class() const { return decode ? ValueClass::kRaw : value_class; }
  uint32_t stored_min() const;
  uint32_t stored_max() const;
};
struct Open {
  std::string name;
  std::optional<Selector> at;  // nothing: a person's answer
  ValueClass value_class = ValueClass::kRaw;
  uint32_t max = 0;
  std::string to = "all";
  bool to_all() const { return to == "all"; }
  Place place;
};
struct Assertion {
  std::string name;
  Selector at;
  std::optional<std::string> equals;  // else: absent
  Place place;
};
struct Code {
  Selector at;
  std::vector<std::string> one_of;
};

/// What happens behind an event.
struct Rule {
  enum class Kind : uint8_t { kNext, kStop, kAgain, kBack, kAfter, kBranch };
  Kind kind = Kind::kStop;
  std::string to;
  unsigned times = 2;
  bool counted = false;  // xN stands there
  /// Where it leads (kBack, kAfter, kBranch).
  std::string line;
  size_t index = 0;
  bool leads() const {
    return kind == Kind::kBack || kind == Kind::kAfter || kind == Kind::kBranch;
  }
  std::string text() const;
  Place place;
};

/// One `{{..}}` of a request.
struct SlotUse {
  enum class Where : uint8_t { kPath, kHost, kQuery, kHeader, kCookie, kForm, kJson, kNumber };
  std::string raw;  // between the braces
  std::string name;
  std::string function;  // "jwe RSA-OAEP-256 A256GCM", "totp", "totp next" or empty
  std::string key;       // of a jwe: PREFIX of .n, .e, .kid
  std::string key_host;  // by which that key was opened
  Where where = Where::kPath;
  std::string position;  // as purposes write it; of path and host: nothing
  std::string slot;      // its name in the template
  bool is_jwe() const { return function.starts_with("jwe"); }
};
std::string_view to_string(SlotUse::Where where);

struct Step {
  std::string name;
  std::string line;  // "main" or the branch
  size_t index = 0;  // in it
  Place place, request_place, sealed_place;
  std::string leaves;
  std::string ask;  // whose person, if anybody's
  std::vector<std::string> show;
  int64_t within_seconds = 300, every_seconds = 5;

  // of a request
  std::string method, host, target, path;  // host and target with their {{..}}
  std::string request;                     // as written, trimmed
  std::string address;                     // METHOD https://HOST/PATH, as purposes begin
  std::vector<SlotUse> slots;
  bool sealed = true;
  std::string sign_service, sign_region;  // of `sign`
  std::string sign_place;
  std::vector<int> status = {200};
  std::string type = "application/json";
  uint32_t header_max = 2048, body_max = 4096;
  std::optional<Item> item;
  Place item_place, code_place;
  bool pick_first = false;
  std::vector<Keep> keeps;
  std::vector<Open> opens;
  std::vector<Assertion> asserts;
  std::optional<Code> code;
  std::string proves;
  Place proves_place;
  /// On whose connection it is made if that still stands, and who is to follow on its own, which is
  /// not closed then; empty: none (connections.h).
  std::string previous_on_connection, next_on_connection;
  std::vector<std::pair<std::string, Rule>> on;  // by event, in the order of the file

  bool asks() const { return !ask.empty(); }
  bool is_main() const { return line == "main"; }
  bool is_ok(int code_of_answer) const;
  /// Whether the answer's body is decrypted behind a good status.
  bool reads_body() const;
  /// Whether anything but the status of a sealed answer is looked at.
  bool reads_header() const;
  const Rule* rule(std::string_view event) const;
  const Open* open(std::string_view name_of_value) const;
  const Keep* keep(std::string_view name_of_value) const;
};

struct Line {
  std::string name;  // "main" first
  std::vector<Step> steps;
};

/// A value that the room has already, made by other flows or imported: what `uses` names.
struct KnownValue {
  bool is_public = false;
  uint32_t entropy = 0;
  ValueClass value_class = ValueClass::kRaw;
  std::vector<std::string> purposes;
  bool is_born = false;       // drawn by all, whatever a file says of it
  uint32_t min = 0, max = 0;  // bytes, of a secret: the least and the most that it may have
  std::string provider = {};  // whose hosts alone get it, if it is secret
};
using KnownValues = std::map<std::string, KnownValue, std::less<>>;

struct Flow {
  std::filesystem::path file;
  std::string name, provider, prefix;
  std::vector<std::string> hosts, later_hosts, uses, may_use;
  std::string key;       // or empty
  std::string claimant;  // or empty
  int64_t settle_seconds = kSettleSeconds;
  std::string consent;  // what each member's person must say to know; empty: nothing
  std::map<std::string, Argument> arguments;
  std::map<std::string, Input> inputs;
  std::vector<std::string> input_order;  // of the file
  std::map<std::string, Birth> born;
  std::vector<Line> lines;
  Digest digest{};         // of the file and its lists
  Digest births_digest{};  // of prefix, name and births alone
  /// Of each step of the main line as it was read: what `--continue` may not change behind us.
  std::vector<Digest> step_digests;

  /// By line and index of a step: what is known for certain when it starts.
  std::map<std::pair<std::string, size_t>, std::set<std::string>> known;
  /// Bits of each short secret that one confirmed run can show, computed from the file.
  std::map<std::string, unsigned> leaks;

  const Line* line(std::string_view line_name) const;
  const Step* step(std::string_view step_name) const;
  void each_step(const std::function<void(const Step&)>& visit) const;
  /// Nothing for a name that is no secret of this file.
  const std::vector<std::string>* purposes_of(std::string_view value) const;
  const Keep* kept(std::string_view value) const;
  bool is_secret(std::string_view value) const { return purposes_of(value) != nullptr; }
  /// Opened to all by some step.
  bool is_opened(std::string_view value) const;
  bool is_used(std::string_view value) const;  // in uses or may_use, the key's too
  /// The step that proves what lies below `first`, the part of a name before its first '/'.
  const Step* proof_of(std::string_view value) const;
  std::optional<uint32_t> entropy_of(std::string_view value, const KnownValues& room = {}) const;
  int64_t settle_of(const Step& step) const;
};

/// What the loader asks about the room.
struct RoomView {
  /// Nothing: there is no room at hand, and its entries are not looked at.
  std::optional<std::vector<Provider>> providers;
};

/// Loads a flow file and holds it to every rule of operations.md (a) to (c): whatever is written
/// otherwise is refused before anything is contacted.
///
/// Errors  InputError with file, line and column; the remedy where one is known
Flow load_flow(const std::filesystem::path& file, const RoomView& room);
/// The same of a text; lists are looked for beside `file`.
Flow parse_flow(std::string_view text, const std::filesystem::path& file, const RoomView& room);

/// The file against the room in which it will run, `room` being all values below its prefix: what
/// `uses` names is there, with purposes and entropy for what is done with it, and compared with
/// nothing if it is secret; what the file makes and the room has is of the same terms and not born.
/// Returns Flow::leaks with what the room adds. Throws InputError.
std::map<std::string, unsigned> check_against(const Flow& flow, const KnownValues& room);

/// The same of one step, with what the room has then: before each release.
void check_step_against(const Flow& flow, const KnownValues& room, const Step& step);

/// Values of arguments: declared, given or with a default, fit for their places; no member gives
/// two of card, telephone and postal data that is not the claimant. Returns all, defaults too.
std::map<std::string, std::string> check_arguments(const Flow& flow,
                                                   const std::map<std::string, std::string>& given);

/// Whether one of these purposes allows that slot of that step (operations.md (a) `purposes`).
bool allows(const std::vector<std::string>& purposes, const Step& step, const SlotUse& use);

/// Whether one of these purposes allows signatures for the service and region.
bool signs(const std::vector<std::string>& purposes, std::string_view service,
           std::string_view region);

/// Whether a public value may stand there (operations.md (a) "Slots").
bool fits(SlotUse::Where where, std::string_view value);
/// Whether a value of the class may.
bool fits(SlotUse::Where where, ValueClass value_class);

/// Bits that one release of the step shows of each short secret that its request carries.
std::map<std::string, unsigned> bits_of_release(const Flow& flow, const Step& step,
                                                const KnownValues& room = {});

}  // namespace flexroom::flow
