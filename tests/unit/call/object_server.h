#pragma once

#include <fmt/core.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace flexroom::unit_call {

inline std::string answer_with(std::string_view body) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
}

/// Plain HTTP on loopback. Answers "METHOD host/target" as told, 200 to any other PUT, 404 to any
/// other GET; keeps what was put.
class ObjectServer {
 public:
  ObjectServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("no listener");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~ObjectServer() {
    stop_ = true;
    thread_.join();
    ::close(listener_);
  }
  uint16_t port() const { return port_; }
  void answer(const std::string& request, const std::string& with) { answers_[request] = with; }
  /// From now on, by "host/target".
  std::map<std::string, std::string> puts() {
    const std::lock_guard lock(mutex_);
    return puts_;
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    puts_.clear();
    all_puts_.clear();
    seen_.clear();
  }
  std::vector<std::string> seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  /// What was put at one place, one after the other.
  std::vector<std::string> all_put_at(const std::string& target) {
    const std::lock_guard lock(mutex_);
    return all_puts_[target];
  }

 private:
  void serve() {
    std::vector<std::thread> workers;
    while (!stop_) {
      pollfd ready{listener_, POLLIN, 0};
      if (::poll(&ready, 1, 20) <= 0) continue;
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) workers.emplace_back([this, fd] { serve_one(fd); });
    }
    for (std::thread& worker : workers) worker.join();
  }
  /// Until the text has `bytes`, or everything; false at the end of the connection.
  bool read_some(int fd, std::string& text) const {
    char buffer[65536];
    while (!stop_) {
      pollfd ready{fd, POLLIN, 0};
      if (::poll(&ready, 1, 20) <= 0) continue;
      const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
      if (n <= 0) return false;
      text.append(buffer, static_cast<size_t>(n));
      return true;
    }
    return false;
  }
  void serve_one(int fd) {
    std::string text;
    size_t head = std::string::npos;
    while ((head = text.find("\r\n\r\n")) == std::string::npos) {
      if (!read_some(fd, text)) break;
    }
    if (head != std::string::npos) {
      const std::string method = text.substr(0, text.find(' '));
      const std::string target =
          text.substr(method.size() + 2, text.find(" HTTP/1.1") - method.size() - 2);
      size_t length = 0;
      const size_t field = text.find("Content-Length: ");
      if (field < head) length = std::stoul(text.substr(field + 16));
      std::string body = text.substr(head + 4);
      while (body.size() < length && read_some(fd, body)) {
      }
      std::string reply = method == "PUT" ? answer_with("") : "HTTP/1.1 404 Not Found\r\n\r\n";
      {
        const std::lock_guard lock(mutex_);
        seen_.push_back(method + " " + target);
        const auto told = answers_.find(method + " " + target);
        if (told != answers_.end()) {
          reply = told->second;
        } else if (method == "PUT") {
          puts_[target] = body;
          all_puts_[target].push_back(body);
        }
      }
      if (reply == "stall") {
        std::string rest;
        while (read_some(fd, rest)) {
        }
      }
      (void)::send(fd, reply.data(), reply.size(), MSG_NOSIGNAL);
    }
    ::shutdown(fd, SHUT_WR);
    ::close(fd);
  }

  int listener_;
  uint16_t port_ = 0;
  std::thread thread_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::map<std::string, std::string> answers_;  // not changed once something runs
  std::map<std::string, std::string> puts_;
  std::map<std::string, std::vector<std::string>> all_puts_;
  std::vector<std::string> seen_;
};

}  // namespace flexroom::unit_call
