#include "node/client.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/display.h"
#include "base/error.h"
#include "base/fd.h"
#include "flexroom/error.h"

namespace flexroom::node {
namespace {

constexpr size_t kMaxAnswer = size_t{300} << 20;

[[noreturn]] void broken(const std::string& text) {
  Error::Fields fields;
  fields.exit = Exit::kFailed;
  fields.kind = "network";
  fields.text = "the node " + text;
  throw Error(std::move(fields));
}

Fd connect_to(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.string().size() >= sizeof address.sun_path) {
    throw InputError(path.string(), "is too long for a socket's name");
  }
  std::memcpy(address.sun_path, path.c_str(), path.string().size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid() ||
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw InputError(path.string(), std::string("no node answers there: ") + std::strerror(errno),
                     errno == EACCES ? "ask the machine's administrator for the group of the socket"
                                     : "start it: `systemctl start flexroom-node`, or "
                                       "`flexroom-node --member member.toml`");
  }
  return fd;
}

std::string get_head(const std::string& target) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
}

}  // namespace

std::string query_value(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Client::Answer Client::ask(const std::string& head, const std::string& body,
                           const std::function<bool(std::string_view)>& sink) const {
  const Fd fd = connect_to(socket_);
  if (!write_all(fd.get(), as_bytes(head + body))) broken("closed the connection");
  Answer out;
  std::string got;
  size_t head_end = std::string::npos;
  std::string buffer(64 << 10, '\0');
  while (true) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    got.append(buffer, 0, static_cast<size_t>(n));
    if (got.size() > kMaxAnswer) broken("answers more than 300 MiB");
    if (head_end == std::string::npos) {
      head_end = got.find("\r\n\r\n");
      if (head_end == std::string::npos) continue;
      const char* const at = got.data() + 9;
      if (got.size() < 12 || !got.starts_with("HTTP/1.1 ") ||
          std::from_chars(at, at + 3, out.status).ec != std::errc()) {
        broken("does not speak HTTP");
      }
      got.erase(0, head_end + 4);
    }
    if (sink && out.status == 200 && !got.empty()) {
      const bool more = sink(got);
      got.clear();
      if (!more) return out;
    }
  }
  if (head_end == std::string::npos) broken("closed the connection without an answer");
  out.body = std::move(got);
  return out;
}

nlohmann::json Client::object(const Answer& answer) const {
  nlohmann::json out = nlohmann::json::parse(answer.body, nullptr, false);
  if (!out.is_object()) broken("answered something that is no object");
  if (answer.status < 300) return out;
  const auto text = [&](const char* key) {
    const auto found = out.find(key);
    return found != out.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  Error::Fields fields;
  fields.exit = answer.status <= 404 && answer.status != 403 ? Exit::kBadInput : Exit::kRefused;
  fields.kind = text("class");
  fields.remedy = text("remedy");
  fields.text = display_lines(text("error"));
  if (!fields.remedy.empty()) fields.text += "\n  -> " + display_lines(fields.remedy);
  throw Error(std::move(fields));
}

nlohmann::json Client::get(const std::string& target) const {
  return object(ask(get_head(target), ""));
}

std::string Client::get_bytes(const std::string& target) const {
  Answer answer = ask(get_head(target), "");
  if (answer.status >= 300) (void)object(answer);
  return std::move(answer.body);
}

nlohmann::json Client::post(const std::string& target, const nlohmann::json& body) const {
  const std::string text = body.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  return object(ask(fmt::format("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                                "application/json\r\nContent-Length: {}\r\n\r\n",
                                target, text.size()),
                    text));
}

void Client::follow(const std::string& target,
                    const std::function<bool(const nlohmann::json&)>& sink) const {
  std::string pending;
  const auto take = [&](std::string_view piece) {
    pending += piece;
    for (size_t end = pending.find("\n\n"); end != std::string::npos; end = pending.find("\n\n")) {
      const std::string event = pending.substr(0, end);
      pending.erase(0, end + 2);
      const size_t data = event.find("data: ");
      if (data == std::string::npos) continue;
      const nlohmann::json object = nlohmann::json::parse(event.substr(data + 6), nullptr, false);
      if (object.is_object() && !sink(object)) return false;
    }
    return true;
  };
  const Answer answer = ask(get_head(target), "", take);
  if (answer.status >= 300) (void)object(answer);
}

}  // namespace flexroom::node
