#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "node/api.h"
#include "node/http_server.h"

namespace flexroom::node {

/// The console: its page, and the API for it, at http://localhost:PORT (members.md §7.4, 9.2).
///
/// Listens   on 127.0.0.1 and ::1, or not at all: another user's program on the other one would be
///           our origin
/// Answers   Host localhost:PORT alone, asked by no other page; a browser that says 127.0.0.1 is
///           sent on
/// Errors    InputError: one of the two addresses cannot be had
class Console {
 public:
  Console(uint16_t port, Api& api);
  static std::string origin_of(uint16_t port);
  /// Of the page itself and of what it asks. Throws HttpError.
  static HttpAnswer answer(const HttpRequest& request, uint16_t port, Api* api);

 private:
  std::vector<std::unique_ptr<HttpServer>> servers_;
};

}  // namespace flexroom::node
