#include "fuzz.h"
#include "tls/handshake.h"

// The whole public state machine of the client on a server's byte stream. First byte: how many
// bytes come at a time; second byte: after how many pieces the secrets arrive. Secrets are fixed,
// so protected records of the corpus can be made for them.

namespace flexroom::tls {
namespace {

ClientHelloInput hello_input() {
  ClientHelloInput input;
  input.host = "server.example";
  input.key_shares = {{NamedGroup::kX25519, Bytes(32, 9)}, {NamedGroup::kP256, Bytes(65, 4)}};
  input.held_back = {NamedGroup::kP256};
  input.random.fill(1);
  input.session_id = Bytes(32, 2);
  return input;
}

void run(ByteView script) {
  HandshakeConfig config;
  config.check_chain = [](const CertificateList&) {};
  ClientHandshake client(std::move(config), hello_input());
  const size_t piece = size_t{script[0]} + 1;
  const size_t secrets_after = script[1];
  ByteView stream = script.subspan(2);
  bool secrets_set = false;
  bool finished = false;
  const auto note = [&](const std::vector<Event>& events) {
    for (const Event& event : events) finished |= event.kind == EventKind::kServerFinished;
  };
  for (size_t pieces = 0; !stream.empty(); ++pieces) {
    const size_t n = std::min(piece, stream.size());
    note(client.feed(stream.first(n)));
    stream = stream.subspan(n);
    if (!secrets_set && client.phase() == Phase::kSecrets && pieces >= secrets_after) {
      Digest s_hs{};
      s_hs.fill(2);
      note(client.set_server_secret(s_hs));
      secrets_set = true;
    }
    FLEXROOM_ASSERT(!finished || secrets_set);
    FLEXROOM_ASSERT(client.phase() != Phase::kDead);
  }
  client.take_application_records();
  client.end_of_stream();
  FLEXROOM_ASSERT(finished);  // only a complete handshake may end well
}

}  // namespace
}  // namespace flexroom::tls

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  flexroom::fuzz::accepts([&] { flexroom::tls::run(flexroom::ByteView(data, size)); });
  return 0;
}
