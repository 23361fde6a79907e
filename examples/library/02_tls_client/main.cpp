// The TLS 1.3 client alone: two parties make one request together. Neither holds a key of the
// connection, so neither can alter the request or read the answer without the other.
//
//   02_tls_client HOST PATH CA_FILE [CONNECT_HOST CONNECT_PORT]

#include <flexroom/engine.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

#include "../pair.h"

int main(int argc, char** argv) {
  if (argc != 4 && argc != 6) {
    std::fprintf(stderr, "usage: 02_tls_client HOST PATH CA_FILE [CONNECT_HOST CONNECT_PORT]\n");
    return 2;
  }
  flexroom::TlsRequest request;
  request.host = argv[1];
  request.ca_file = argv[3];
  if (argc == 6) {
    request.connect_host = argv[4];
    request.connect_port = static_cast<uint16_t>(std::atoi(argv[5]));
  }
  request.text = std::string("GET ") + argv[2] + " HTTP/1.1\r\nHost: " + request.host +
                 "\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n";
  try {
    std::mutex mutex;
    run_pair([&](flexroom::Engine& engine, size_t self) {
      const flexroom::ServiceAnswer answer = engine.request(request);
      const std::lock_guard lock(mutex);
      std::printf("party %zu: status %d, %zu bytes\n", self, answer.status, answer.body.size());
    });
    return 0;
  } catch (const flexroom::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.exit());
  }
}
