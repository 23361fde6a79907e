#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "mpc/program.h"

namespace flexroom::mpc {

/// Programs that depend on a few public parameters, made once a process: counting a program's ANDs
/// in a plan and preparing it later is one building, and so are the runs after it.
///
/// Threads   any; whoever asks for a program that is being made waits for it
/// Memory    programs stay until the cache goes: for the fixed circuits of the product, not for
///           those of one request
class ProgramCache {
 public:
  std::shared_ptr<const Program> get(const std::string& key,
                                     const std::function<Circuit()>& build) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<const Program>& program = programs_[key];
    if (program == nullptr) program = std::make_shared<const Program>(compile(build()));
    return program;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Program>> programs_;
};

}  // namespace flexroom::mpc
