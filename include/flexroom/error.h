#pragma once

#include <stdexcept>
#include <string>

namespace flexroom {

/// How an operation ended, and what that means for whoever started it. The numbers are the exit
/// codes of the command line; they stay.
enum class Exit : int {
  kOk = 0,
  kUsage = 2,           // wrong arguments
  kBadInput = 3,        // a file or value is wrong; nothing was changed
  kRefused = 4,         // members disagree, or somebody said no; nothing was contacted
  kFailed = 5,          // a member or the service failed, or somebody stopped; nothing was released
  kCheat = 6,           // a protocol check failed
  kUnknown = 7,         // the request was released: it may have been carried out
  kServiceRefused = 8,  // the service answered, with an error; or the script ran, and failed
  kOutputLost = 9,  // done, but what came of it could not be written, here or to standard output
  kResultElsewhere = 10,  // the script ended, and its result is too large to fetch here
  kGoesOn = 11,           // the machine was started, and its result is not here: the run goes on
};

/// The one exception of this library. what() is for a person: plain sentences, without a byte of a
/// secret, foreign bytes in it made harmless for a terminal.
class Error : public std::runtime_error {
 public:
  struct Fields {
    Exit exit = Exit::kBadInput;
    std::string kind;            // "error", "refuse", "network", "F_p cheat", "boolean cheat"
    std::string text;            // what(); what is known of the outcome included
    std::string place;           // of wrong input: file, line and column, or the argument
    std::string problem;         // there
    std::string remedy;          // what to do about it; may be empty
    std::string operation;       // of a failed protocol: its step
    std::string member;          // by whose message or absence it failed, if one can be named
    std::string partial_answer;  // what came of an answer that is not whole, as it came
    std::string partial_file;    // where that is kept; empty: nowhere
  };
  explicit Error(Fields fields) : std::runtime_error(fields.text), fields_(std::move(fields)) {}

  Exit exit() const { return fields_.exit; }
  /// Whether the request may have been carried out at the service.
  bool may_have_happened() const { return fields_.exit == Exit::kUnknown; }
  const Fields& fields() const { return fields_; }

 private:
  Fields fields_;
};

}  // namespace flexroom
