#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/error.h"

/// Entry of every target. Built with clang it belongs to libFuzzer; otherwise replay_main.cpp calls
/// it for each file of the target's corpus. A target may let a parser throw the two exceptions that
/// parsers are documented to throw, nothing else.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace flexroom::fuzz {

/// Runs a parser on foreign bytes; true if it accepted them.
template <typename Parser>
bool accepts(Parser parser) {
  try {
    parser();
    return true;
  } catch (const ProtocolAbort&) {
    return false;
  } catch (const InputError&) {
    return false;
  }
}

}  // namespace flexroom::fuzz
