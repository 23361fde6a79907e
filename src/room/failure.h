#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "flexroom/error.h"

namespace flexroom::room {

/// What a failure means for whoever started the operation. `released`: the request may have been
/// carried out. `members`: names by party id, where they are known.
Error::Fields describe(const std::exception& error, bool released,
                       const std::vector<std::string>& members = {});

/// Inside a handler: what was caught, in words; also what is no std::exception.
std::string words_of_caught();

/// Runs `body`; whatever it throws becomes an Error.
template <typename Body>
auto translated(const std::vector<std::string>& members, Body body) {
  try {
    return body();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(describe(error, false, members));
  } catch (...) {
    throw Error(describe(std::runtime_error(words_of_caught()), false, members));
  }
}

}  // namespace flexroom::room
