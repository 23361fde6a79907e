#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace flexroom::node {

/// What a node keeps of each run it took part in, for this member's people: a small JSON file, and
/// the answer's body beside it. Mode 0600, in node/runs of the state. No secret of the room; the
/// answer is what all members read.
class RunRecords {
 public:
  static constexpr size_t kMaxRecordBytes = 256 << 10;
  explicit RunRecords(const std::filesystem::path& state_dir);

  struct Record {
    std::string id;        // of the run, hexadecimal
    std::string proposal;  // D0
    std::string kind, title;
    uint32_t index = 0;
    /// "running"; "machine runs": of run-script, its result is awaited; "done", "failed",
    /// "refused", "nothing happened", "stopped", "unknown".
    std::string state = "running";
    int64_t started = 0, ended = 0;         // Unix seconds
    int status = 0;                         // of the service's answer; 0: none
    std::string detail;                     // why, in a sentence
    std::string instance_id, client_token;  // of run-script
    std::string file;                       // where the result lies, if not beside the record
    uint64_t body_bytes = 0;
    nlohmann::json phases = nlohmann::json::array();
    nlohmann::json to_json() const;
  };
  /// In place of what is there of that run; on disk when it returns. Throws InputError.
  void put(const Record& record);
  void put_body(const std::string& id, const std::string& body);
  /// Newest first, at most `most`.
  std::vector<Record> list(size_t most);
  /// By its id, or a beginning of it that is one run's.
  std::optional<Record> find(const std::string& id);
  std::string body(const Record& record);

 private:
  std::optional<Record> read(const std::filesystem::path& file) const;
  std::filesystem::path folder_;
};

}  // namespace flexroom::node
