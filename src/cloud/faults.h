#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cloud/message.h"

namespace flexroom::cloud {

/// What goes wrong with one call.
struct Fault {
  int status = 0;                     // answered with this, nothing is done
  std::chrono::milliseconds late{0};  // before anything is done
  bool drop = false;                  // cut off before anything is done
  bool cut = false;                   // carried out and cut off
  bool truncate = false;              // carried out; half of the body, then the end
  bool compress = false;              // Content-Encoding: gzip
  bool echo = false;                  // an error repeats the request, header and body
  bool garble = false;                // an error's body is not what its Content-Type says
  bool untyped = false;      // an error has no Content-Type, as the EC2 ones of tests/vectors
  unsigned long_body = 0;    // so many blanks behind the body
  unsigned long_header = 0;  // a header line that is that long
};

/// Faults by call: "METHOD HOST/PATH WHAT[+WHAT..] [xN] [after K]", where METHOD may be * and PATH
/// may end in *. WHAT: a status of 300 to 599 (below 400 with a Location that repeats the path),
/// late=MS, drop, cut, truncate, gzip, echo, garble, long=BYTES, header=BYTES, untyped. xN: the
/// first N such calls (otherwise all); after K: not the first K. Thread-safe.
class Faults {
 public:
  /// In place of those there are. Throws InputError for a rule that is none; nothing is changed.
  void set(const std::vector<std::string>& rules);
  /// What the rules say of this call, all that fit together; it counts for them.
  Fault next(const Request& request);

 private:
  struct Rule {
    std::string method, host, path;
    bool prefix = false;
    Fault fault;
    std::optional<unsigned> times;
    unsigned after = 0;
  };
  static Rule parse(const std::string& text);
  static void parse_what(const std::string& text, const std::string& what, Fault& fault);

  std::mutex mutex_;
  std::vector<Rule> rules_;
};

/// The request as text, for errors that repeat it.
std::string echo_of(const Request& request);
/// The answer as the fault leaves it; `request`: what it answers.
void spoil(const Fault& fault, const Request& request, Response& response);

}  // namespace flexroom::cloud
