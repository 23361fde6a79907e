#include "flow/stop_words.h"

#include <map>

namespace flexroom::flow {

std::string words_of_failure(const std::string& failure) {
  static const std::map<std::string, std::string> kMeanings = {
      {"too long", "the answer, or a value of it, is over what the file allows (body_max, length)"},
      {"header too long", "the answer's header is over the step's header_max"},
      {"too short", "a value is under the length that the file says"},
      {"content encoding", "the service compressed the answer, and nobody can read it inside"},
      {"deleted", "the service ended that cookie, and what was signed in with it is over"},
      {"not found", "the answer has no such place: the service changed it, or the file is wrong"},
      {"outside class", "a value has bytes that its class has not"},
  };
  const auto found = kMeanings.find(failure);
  return found == kMeanings.end() ? failure : failure + " (" + found->second + ")";
}

std::string words_of_event(const std::string& event) {
  if (event.size() == 3 && event[0] == '3') {
    return event + " (the service leads elsewhere; a redirect is followed by no step)";
  }
  if (event == "429") return event + " (the service wants fewer requests: later)";
  return event;
}

}  // namespace flexroom::flow
