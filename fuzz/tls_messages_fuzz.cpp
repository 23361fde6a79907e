#include "fuzz.h"
#include "tls/messages.h"
#include "tls/record_layer.h"

// Parsers of the server's handshake messages, with the ClientHello they answer. First byte: which.

namespace flexroom::tls {
namespace {

const ClientHello& our_hello() {
  static const ClientHello hello = [] {
    ClientHelloInput input;
    input.host = "server.example";
    input.key_shares = {{NamedGroup::kX25519, Bytes(32, 9)}, {NamedGroup::kP256, Bytes(65, 4)}};
    input.held_back = {NamedGroup::kP256};
    input.session_id = Bytes(32, 2);
    input.record_size_limit = uint16_t{16385};
    return build_client_hello(input);
  }();
  return hello;
}

void parse(uint8_t which, ByteView body) {
  switch (which % 5) {
    case 0: {
      const auto parsed = parse_server_hello(body, our_hello());
      if (const auto* retry = std::get_if<HelloRetryRequest>(&parsed)) {
        FLEXROOM_ASSERT(second_client_hello(our_hello(), *retry).second);
      } else {
        FLEXROOM_ASSERT(std::get<ServerHello>(parsed).key_share.key.size() == 32);
      }
      break;
    }
    case 1:
      check_encrypted_extensions(body, our_hello());
      break;
    case 2: {
      const std::vector<Bytes> chain = parse_certificate(body, our_hello()).chain;
      FLEXROOM_ASSERT(!chain.empty() && chain.size() <= kMaxCertificates);
      break;
    }
    case 3:
      parse_certificate_verify(body);
      break;
    default:
      split_inner(to_bytes(as_text(body)), "fuzz");
  }
}

}  // namespace
}  // namespace flexroom::tls

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  flexroom::fuzz::accepts(
      [&] { flexroom::tls::parse(data[0], flexroom::ByteView(data + 1, size - 1)); });
  return 0;
}
