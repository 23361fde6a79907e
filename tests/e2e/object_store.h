#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

#include "cloud/certificates.h"
#include "cloud/server.h"
#include "config/config.h"

namespace flexroom {

/// An object store at https://store.example that answers as each test says, one answer after the
/// other (the last again and again), and a room that has it as a provider.
class ObjectStoreTest : public ::testing::Test {
 protected:
  ObjectStoreTest()
      : dir_(std::filesystem::temp_directory_path() /
             ("flexroom-store-" + std::to_string(getpid()))),
        certificates_((std::filesystem::create_directories(dir_), dir_), "ec"),
        tls_(certificates_.server_context("X25519", [](const std::string&) { return true; })) {
    cloud::ServerOptions options;
    options.tls = tls_.get();
    server_ = std::make_unique<cloud::Server>(
        options, [this](const cloud::Request& request, int) -> std::optional<cloud::Response> {
          const std::lock_guard lock(mutex_);
          seen_.push_back(request.method + " " + request.path);
          return answers_.at(std::min<size_t>(asked_++, answers_.size() - 1));
        });
    Provider provider;
    provider.name = "store";
    provider.hosts = {"store.example"};
    provider.ca_file = certificates_.ca_file();
    provider.connect_to = {{"*", 0, {"127.0.0.1", server_->listen("127.0.0.1", 0)}}};
    room_.providers = {provider};
  }
  ~ObjectStoreTest() override {
    server_->stop();
    std::filesystem::remove_all(dir_);
  }
  static cloud::Response answer(int status, const std::string& body, const std::string& tag = "") {
    cloud::Response out;
    out.status = status;
    out.body = body;
    if (!tag.empty()) out.headers.emplace_back("ETag", tag);
    return out;
  }
  static cloud::Response refusal(int status, const std::string& code, const std::string& message) {
    return answer(status,
                  "<Error><Code>" + code + "</Code><Message>" + message + "</Message></Error>");
  }

  std::filesystem::path dir_;
  cloud::Certificates certificates_;
  cloud::Handle<SSL_CTX> tls_;
  std::vector<cloud::Response> answers_;
  std::atomic<size_t> asked_{0};
  std::mutex mutex_;
  std::vector<std::string> seen_;  // "PUT /target"
  std::unique_ptr<cloud::Server> server_;
  RoomConfig room_;
  std::atomic<bool> cancel_{false};
};

}  // namespace flexroom
