#pragma once

#include <arpa/inet.h>
#include <flexroom/engine.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <exception>
#include <functional>
#include <stdexcept>
#include <thread>
#include <vector>

// Two parties in one program, each a thread with an identity and a socket of its own, over loopback.
// Real parties are programs on two machines that exchanged their fingerprints; the calls are alike.
inline void run_pair(const std::function<void(flexroom::Engine& engine, size_t self)>& party) {
  flexroom::Engine::Options options;
  std::vector<flexroom::PartyIdentity> identities;
  std::vector<int> sockets;
  for (const char* name : {"anna", "bernd"}) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, generic, size) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, generic, &size) != 0) {
      throw std::runtime_error("cannot listen on loopback");
    }
    sockets.push_back(fd);
    identities.push_back(flexroom::PartyIdentity::make(name));
    options.parties.push_back(
        {name, "127.0.0.1", ntohs(address.sin_port), identities.back().fingerprint()});
  }
  std::vector<std::exception_ptr> errors(2);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      try {
        flexroom::Engine::Options own = options;
        own.self = i;
        own.listen_socket = sockets[i];
        flexroom::Engine engine(own, identities[i]);
        party(engine, i);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}
