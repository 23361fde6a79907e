#pragma once

#include <filesystem>
#include <string>

#include "base/fd.h"
#include "net/trace.h"

namespace flexroom::room {

/// `--trace FILE`: what went over the mesh, one JSON object a line, for finding out where two
/// members' runs differ. Digests and sizes only; still this member's alone (mode 0600).
class TraceFile {
 public:
  /// Begins the file anew. Throws InputError if it cannot be written.
  explicit TraceFile(const std::filesystem::path& file);
  ~TraceFile();
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;
  void write(const net::TraceEntry& entry);

 private:
  void flush();

  Fd fd_;
  std::string waiting_;  // lines that are not written yet
};

}  // namespace flexroom::room
