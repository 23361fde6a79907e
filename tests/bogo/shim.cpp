#include <fmt/core.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include "bogo/options.h"
#include "cover/local_keys.h"
#include "net/tcp_stream.h"
#include "tls/handshake.h"
#include "tls/open_response.h"

// The client that BoringSSL's test runner drives (tls-complete.md §10.1): by default mode A, the
// product's own handshake and record code with ECDHE and key schedule in the clear; with SHIM_MPC
// in the environment mode B, members.cpp. tests/bogo/README.md.

namespace flexroom::bogo {
namespace {

using cover::LocalKey;
using cover::LocalSchedule;

constexpr std::chrono::seconds kTimeout{20};

// What asks for nothing that this client does not do, or how BoringSSL's own API is called.
const std::set<std::string> kNothingToDo = {
    "-expect-no-session", "-async",     "-implicit-handshake",         "-peek-then-read",
    "-verify-peer",       "-no-tls1",   "-use-custom-verify-callback", "-no-tls11",
    "-no-tls12",          "-no-ticket", "-enforce-rsa-key-usage"};

// What every hello offers: there is no setting.
const std::set<unsigned long> kSchemes = {0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807,
                                          0x0809, 0x080A, 0x080B, 0x0401, 0x0501, 0x0601};

NamedGroup group_of(const std::string& code) {
  for (const NamedGroup group : all_groups()) {
    if (code == std::to_string(tls::code_point(group))) return group;
  }
  unimplemented("group " + code);
}

Options parse(int argc, char** argv) {
  Options out;
  const std::map<std::string, bool*> switches = {{"-ipv6", &out.ipv6},
                                                 {"-expect-hrr", &out.expect_retry},
                                                 {"-expect-no-hrr", &out.expect_no_retry},
                                                 {"-verify-fail", &out.verify_fails},
                                                 {"-shim-writes-first", &out.writes_first},
                                                 {"-shim-shuts-down", &out.shuts_down},
                                                 {"-check-close-notify", &out.check_close_notify}};
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "-is-handshaker-supported") {
      fmt::print("No\n");
      std::exit(0);
    }
    if (kNothingToDo.contains(flag)) continue;
    if (const auto known = switches.find(flag); known != switches.end()) {
      *known->second = true;
      continue;
    }
    const auto value = [&]() -> std::string {
      if (++i == argc) unimplemented(flag + " without a value");
      return argv[i];
    };
    if (flag == "-port") {
      out.port = static_cast<uint16_t>(std::stoul(value()));
    } else if (flag == "-shim-id") {
      out.shim_id = std::stoull(value());
    } else if (flag == "-host-name") {
      out.host = value();
    } else if (flag == "-trust-cert") {
      (void)value();
    } else if (flag == "-curves") {
      out.groups.push_back(group_of(value()));
    } else if (flag == "-expect-curve-id") {
      out.expect_group = group_of(value());
    } else if (flag == "-expect-peer-signature-algorithm") {
      out.expect_scheme = static_cast<uint16_t>(std::stoul(value()));
    } else if (flag == "-verify-prefs") {
      const std::string scheme = value();
      if (!kSchemes.contains(std::stoul(scheme))) unimplemented("signature scheme " + scheme);
    } else if (flag == "-suite") {  // of run.sh: one is offered a connection
      out.suite = tls::find_suite(value());
      if (out.suite == nullptr) unimplemented("another suite than " + tls::known_suites());
    } else if (flag == "-expect-version" || flag == "-max-version") {
      if (value() != "772") unimplemented(flag + " of another version than TLS 1.3");
    } else if (flag == "-min-version") {
      if (std::stoul(value()) > 772) unimplemented(flag);
    } else if (flag == "-advertise-alpn" || flag == "-expect-alpn") {
      const std::string names = value();
      if (names != "http/1.1" && names != "\x08http/1.1") unimplemented(flag + " " + names);
    } else {
      unimplemented(flag);
    }
  }
  out.default_groups = out.groups.empty();
  // Upstream holds that none is for quantum computers unless asked for.
  if (out.default_groups) out.groups = {NamedGroup::kX25519, NamedGroup::kP256};
  return out;
}

class Shim {
 public:
  explicit Shim(const Options& options) : options_(options), stream_(connect_to_runner(options)) {
    for (const NamedGroup group : options_.groups) keys_.emplace_back(group);
  }

  void run() {
    tls::ClientHelloInput hello;
    hello.host = options_.host;
    hello.suite = options_.suite;
    for (const LocalKey& key : keys_) hello.key_shares.push_back(key.share());
    hello.held_back = tls::held_back_of(options_.groups);
    if (!has_kem(options_.groups)) {  // the runner expects the key of the first alone
      hello.held_back.assign(options_.groups.begin() + 1, options_.groups.end());
    }
    hello.random = sha256(hello.key_shares[0].key);
    frozen_.suite = options_.suite;
    machine_.emplace(handshake_config(options_), hello);
    try {
      shake_hands();
    } catch (const tls::ServerFault&) {
      say_farewell();
      throw;
    }
    stream_->write(client_flight());
    exchange();
  }

 private:
  /// The client's Finished, behind an empty Certificate where one was asked for.
  Bytes client_flight() const {
    const tls::HashValue c_hs = schedule_->c_hs();
    if (!machine_->certificate_requested()) return machine_->client_finished_record(c_hs);
    Bytes content = tls::empty_certificate();
    append(content,
           tls::handshake_message(tls::HandshakeType::kFinished,
                                  tls::finished_mac(options_.suite->hash(), c_hs,
                                                    machine_->client_flight_transcript())));
    Bytes out = machine_->client_flight_start();
    append(out, tls::aead_seal(keys_of(c_hs), 0, tls::ContentType::kHandshake, content));
    return out;
  }

  tls::TrafficKeys keys_of(const tls::HashValue& secret) const {
    return tls::traffic_keys(secret, *options_.suite);
  }

  /// The scheme of the server's CertificateVerify, which the product shows to nobody: read from
  /// what came.
  uint16_t server_scheme() const {
    const tls::TrafficKeys keys = keys_of(schedule_->s_hs());
    tls::RecordReader reader;
    tls::HandshakeReassembler messages(1 << 17);
    uint64_t seq = 0;
    for (const tls::RawRecord& record : reader.feed(received_)) {
      if (record.type() != 23) continue;
      const std::optional<Bytes> inner = tls::aead_open(keys, seq++, record);
      if (!inner) break;
      messages.add(tls::split_inner(*inner, "shim").content);
    }
    while (const std::optional<Bytes> message = messages.next()) {
      if ((*message)[0] == 15) return static_cast<uint16_t>((*message)[4] << 8 | (*message)[5]);
    }
    throw std::runtime_error("no CertificateVerify came");
  }

  void require(bool holds, const std::string& what) const {
    if (!holds) throw std::runtime_error(what);
  }

  tls::Event await(tls::EventKind kind, std::vector<tls::Event> events) {
    while (true) {
      for (tls::Event& event : events) {
        if (event.kind == kind) return std::move(event);
        if (event.kind == tls::EventKind::kHelloRetry) {
          retried_ = true;
          stream_->write(machine_->client_hello_record());
        }
      }
      const Bytes piece = stream_->read_some(1 << 16);
      if (piece.empty()) machine_->end_of_stream();
      append(received_, piece);
      events = machine_->feed(piece);
    }
  }

  void shake_hands() {
    stream_->write(machine_->client_hello_record());
    const tls::Event hello = await(tls::EventKind::kServerHello, {});
    const NamedGroup group = hello.key_share.group;
    require(!options_.expect_retry || retried_, "no HelloRetryRequest came");
    require(!options_.expect_no_retry || !retried_, "a HelloRetryRequest came");
    require(!options_.expect_group || group == *options_.expect_group, "another group was taken");
    for (const LocalKey& key : keys_) {
      if (key.group() != group) continue;
      const std::optional<Bytes> x = key.secret(hello.key_share.key);
      if (!x) machine_->refuse_key_share();
      schedule_.emplace(*x, hello.digest, options_.suite->hash());
    }
    h2_ = await(tls::EventKind::kServerFinished, machine_->set_server_secret(schedule_->s_hs()))
              .digest;
    require(!options_.expect_scheme || server_scheme() == *options_.expect_scheme,
            "the server signed by another scheme");
  }

  void say_farewell() {
    Bytes alert = machine_->alert_record();
    if (machine_->owes_sealed_alert()) alert = machine_->sealed_alert_record(schedule_->c_hs());
    if (!alert.empty()) stream_->write(alert);
  }

  void send(ByteView text) {
    const tls::TrafficKeys keys = keys_of(schedule_->c_ap(h2_));
    for (size_t at = 0; at < text.size(); at += tls::kMaxPlaintext) {
      const auto piece = text.subspan(at, std::min(tls::kMaxPlaintext, text.size() - at));
      stream_->write(tls::aead_seal(keys, sent_++, tls::ContentType::kApplicationData, piece));
    }
  }

  /// All that came so far, by the product's reader of frozen answers.
  tls::OpenedResponse read_all(bool ended) {
    for (tls::RawRecord& record : machine_->take_application_records()) {
      frozen_.records.push_back(std::move(record));
    }
    if (const auto& fault = machine_->application_fault()) throw std::runtime_error(*fault);
    frozen_.trailing_partial = ended && machine_->has_partial_record();
    tls::OpenedResponse opened = tls::open_response(frozen_, schedule_->s_ap(h2_));
    const bool may_become_whole = !ended && opened.unknown_outcome &&
                                  (opened.unknown_outcome->ends_with("not whole") ||
                                   opened.unknown_outcome->ends_with("sent no close_notify"));
    if (opened.unknown_outcome && !may_become_whole) {
      throw std::runtime_error(*opened.unknown_outcome);
    }
    return opened;
  }

  void exchange() {
    if (options_.writes_first) send(as_bytes(std::string_view("hello")));
    if (options_.shuts_down) {
      close_notify();
      if (options_.check_close_notify) await_close_notify();
      return;
    }
    size_t echoed = 0;
    while (true) {
      const tls::OpenedResponse opened = read_all(false);
      Bytes echo(opened.application_data.begin() + static_cast<ptrdiff_t>(echoed),
                 opened.application_data.end());
      echoed = opened.application_data.size();
      for (uint8_t& byte : echo) byte ^= 0xff;
      send(echo);
      if (opened.close_notify) return close_notify();
      const Bytes piece = stream_->read_some(1 << 16);
      if (piece.empty()) {
        (void)read_all(true);
        require(!options_.check_close_notify, "the server closed without close_notify");
        return;
      }
      machine_->feed(piece);
    }
  }

  void await_close_notify() {
    while (!read_all(false).close_notify) {
      const Bytes piece = stream_->read_some(1 << 16);
      require(!piece.empty(), "the server closed without close_notify");
      machine_->feed(piece);
    }
  }

  void close_notify() {
    stream_->write(tls::aead_seal(keys_of(schedule_->c_ap(h2_)), sent_++, tls::ContentType::kAlert,
                                  Bytes{1, 0}));
  }

  const Options& options_;
  std::unique_ptr<ByteStream> stream_;
  std::vector<LocalKey> keys_;
  std::optional<tls::ClientHandshake> machine_;
  std::optional<LocalSchedule> schedule_;
  tls::FrozenResponse frozen_;
  tls::HashValue h2_;
  bool retried_ = false;
  Bytes received_;
  uint64_t sent_ = 0;
};

}  // namespace

void unimplemented(const std::string& what) {
  fmt::print(stderr, "not implemented: {}\n", what);
  std::exit(kUnimplemented);
}

tls::HandshakeConfig handshake_config(const Options& options) {
  tls::HandshakeConfig config;
  config.client_auth = tls::ClientAuth::kNone;
  config.check_chain = [fails = options.verify_fails](const tls::CertificateList&) {
    if (!fails) return;
    tls::server_fault("certificate", "the server's chain does not verify", tls::Alert::kUnknownCa);
  };
  return config;
}

std::unique_ptr<ByteStream> connect_to_runner(const Options& options) {
  auto stream = net::connect_tcp(options.ipv6 ? "::1" : "127.0.0.1", options.port, kTimeout);
  Bytes id;
  for (int k = 0; k < 8; ++k) id.push_back(static_cast<uint8_t>(options.shim_id >> (8 * k)));
  stream->write(id);
  return stream;
}

}  // namespace flexroom::bogo

int main(int argc, char** argv) {
  const auto options = flexroom::bogo::parse(argc, argv);
  try {
    if (std::getenv("SHIM_MPC") != nullptr) {
      flexroom::bogo::run_members(options);
    } else {
      flexroom::bogo::Shim(options).run();
    }
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
