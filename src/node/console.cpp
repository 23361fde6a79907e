#include "node/console.h"

#include <fmt/core.h>

#include "node/console_files.h"
#include "node/listener.h"

namespace flexroom::node {
namespace {

/// Nothing from anywhere else, no code but the files, no frame around it, no form that leaves, and
/// no text that a browser would take for code.
constexpr const char* kPolicy =
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src "
    "'none'; require-trusted-types-for 'script'; trusted-types 'none'";

HttpAnswer file_called(const HttpRequest& request) {
  for (const ConsoleFile& file : console_files()) {
    if (request.path != file.path) continue;
    if (request.method != "GET") throw HttpError(405, "this is only read");
    HttpAnswer out;
    out.type = file.type;
    out.tag = file.tag;
    out.cache = "no-cache";  // kept, and asked for anew each time: another version is another tag
    out.policy = kPolicy;
    if (request.header("if-none-match") == file.tag) {
      out.status = 304;
    } else {
      out.body = file.body;
    }
    return out;
  }
  throw HttpError(404, "there is no such page");
}

}  // namespace

std::string Console::origin_of(uint16_t port) { return fmt::format("http://localhost:{}", port); }

HttpAnswer Console::answer(const HttpRequest& request, uint16_t port, Api* api) {
  const std::string host = request.header("host");
  if (request.method == "GET" && request.path == "/" &&
      (host == fmt::format("127.0.0.1:{}", port) || host == fmt::format("[::1]:{}", port))) {
    HttpAnswer out;
    out.status = 303;
    out.type = "text/plain";
    out.location = origin_of(port) + "/";
    return out;
  }
  const bool is_api = request.path.starts_with("/v1/");
  HttpRequest asked = request;
  // Who types the address, or takes it from a terminal, comes from no page.
  if (!is_api && request.header("sec-fetch-site") == "none") asked.headers.erase("sec-fetch-site");
  require_own_page(asked, fmt::format("localhost:{}", port), origin_of(port));
  if (!is_api) return file_called(request);
  if (api == nullptr) throw HttpError(503, "the node is about to start");
  return api->of_page(request);
}

Console::Console(uint16_t port, Api& api) {
  std::vector<Fd> sockets;
  for (const char* address : {"127.0.0.1", "::1"}) sockets.push_back(listen_on(address, port));
  for (Fd& socket : sockets) {
    servers_.push_back(std::make_unique<HttpServer>(
        std::move(socket), [port, &api](const HttpRequest& request, const Caller&) {
          return answer(request, port, &api);
        }));
  }
}

}  // namespace flexroom::node
