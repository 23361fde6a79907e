#pragma once

#include <set>
#include <string>

#include "agent/journal.h"
#include "base/error.h"

namespace flexroom::agent {

/// Single use within the life of a process: where that is the life of the epoch too.
class MemoryJournal : public Journal {
 public:
  void mark(std::string_view kind, ByteView id) override {
    if (marks_.insert(std::string(kind) + ":" + to_hex(id)).second) return;
    throw ProtocolAbort(AbortCode::kReuse, kind, "this single-use item was used before");
  }

 private:
  std::set<std::string> marks_;
};

}  // namespace flexroom::agent
