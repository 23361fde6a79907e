#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/secret.h"

namespace flexroom::runs {

/// How far a run is. What is `kUnknown` may have been carried out.
enum class RunState {
  kStarting,    // approved; the request is not answered yet, or the program was killed
  kUnknown,     // the request left and no answer came
  kRefused,     // the service answered with an error: nothing runs
  kNotStarted,  // nothing was released
  kRunning,     // the machine runs; the result is not here
  kSucceeded,   // the result is here
  kFailed,      // the machine reported a failure
  kElsewhere,   // the script ended, its result is too large to fetch
  kNoResult,    // the deadline passed and nothing came
  kStopped,     // terminated by agreement, or no machine of it is there any more
  kGone         // of --classic: its machine was started, and is gone before its id was known
};
std::string_view to_string(RunState state);

/// One run of run-script, as this member remembers it. No secret.
struct Run {
  std::string id;  // 64 hexadecimal digits
  std::string job, provider, region, access_key_id, secret;
  std::string proposal, client_token, instance_id;
  std::string session;  // in which it was approved, hexadecimal; empty: of a run before that stood
  int64_t started = 0;  // Unix seconds
  int64_t deadline_minutes = 0;
  RunState state = RunState::kStarting;
  std::string detail;       // why, in a few words
  std::string before;       // version of what lay at the result link when it started
  std::string result_name;  // result_name()
  std::string carrier;      // member behind whose link the loader lies; empty: a run of before
  std::string result;       // file in its folder; empty: not here
  /// Of run-script --classic: the flow's run, and the loader that the members' links carry.
  std::string flow_run, loader;
  std::string machine;     // digest of all that its machine gets, hexadecimal
  uint32_t id_before = 0;  // version of the room's instance-id when it began: an earlier run's
  bool flow_done = false;  // the flow's run is at its end
  /// When this member's links end, Unix seconds, by their names in links.toml: of those that say
  /// it.
  std::map<std::string, int64_t> link_ends;
  /// What those that were tried before the start answered, and when, Unix seconds (0: not known).
  std::map<std::string, std::string> link_answers;
  int64_t links_tried = 0;
  int64_t machine_since = 0;  // when RunInstances was answered, Unix seconds (0: not known)

  std::string short_id() const { return id.substr(0, 12); }
};

/// RO("run", rid, D, i): the id of the i-th run of a proposal, the same at every member.
std::string run_id(const Digest& rid, const Digest& proposal, uint64_t index);

/// The runs of one room, in a folder of its own a run: what is known of it (run.json), its result,
/// and as long as that is not here the link to it (mode 0600). A file is replaced whole or not at
/// all; a result is never overwritten.
///
/// A record that is damaged, or of a newer program, stops nothing but what asks for it: it is named
/// by damaged(), all the others are found, and nothing of it is changed or removed.
///
/// Throws InputError: a file that cannot be written or read, no such run.
class RunHistory {
 public:
  RunHistory(const std::filesystem::path& state_dir, const Digest& rid);

  /// `link`: where this member's result will lie; empty: it has no such link.
  /// `seed`: seed(); durable before the record is.
  void begin(const Run& run, std::string_view link, ByteView seed = {});
  void update(const Run& run);
  /// Those that can be read, oldest first.
  std::vector<Run> all() const;
  /// A record that cannot be read: the first digits of its run's id, and which file, what is wrong
  /// with it and what to do, in one text.
  struct Damaged {
    std::string digits;
    std::string text;
  };
  std::vector<Damaged> damaged() const;
  /// The run whose id begins so; "last": the newest. Throws what is wrong with a damaged record if
  /// it may be the one that is meant.
  Run find(std::string_view prefix) const;
  /// The run of --classic that is this one of its flow, the newest of them.
  std::optional<Run> find_flow(std::string_view flow_run) const;
  /// Which this member's keys of a run of --classic are drawn from: the same in each of its
  /// sessions, so that a machine that was started already gets on with the loader of the next one.
  std::optional<SecretBytes> seed(const Run& run) const;
  /// How many runs of this proposal there are at most: a damaged record may be one of them, and no
  /// number is given twice.
  uint64_t count(std::string_view proposal) const;
  /// Nothing if the result is here already, or there never was one.
  std::optional<SecretBytes> link(const Run& run) const;
  /// Writes into the run's folder under that name, or one beside it if the name is taken. Returns
  /// the name.
  std::string keep(const Run& run, std::string_view name, ByteView bytes) const;
  /// The result is here: the link is of no use any more.
  void forget_link(const Run& run) const;
  /// No session of the run comes any more: its flow is done, or it was stopped. Wiped; throws.
  void forget_seed(const Run& run) const;
  std::filesystem::path folder(const Run& run) const;

 private:
  struct Found {
    std::vector<Run> runs;
    std::vector<Damaged> damaged;
  };
  Found look() const;

  std::filesystem::path dir_;
};

/// What a result is called on disk: "result" with the ending of its object (".csv.gz"), and ".json"
/// at its end where it is JSON and has none. Not the object's name: that is private.
std::string result_name(std::string_view url);

}  // namespace flexroom::runs
