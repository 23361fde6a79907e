#include "cover/cover_connection.h"

#include <openssl/rand.h>

#include <algorithm>
#include <deque>

#include "base/error.h"
#include "cover/local_keys.h"
#include "tls/open_response.h"

namespace flexroom::cover {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kPieceBytes = 64 * 1024;
constexpr uint64_t kMostBytes = uint64_t{300}
                                << 20;  // of the service; a real answer has a limit too

void fill_random(std::span<uint8_t> out) {
  FLEXROOM_ASSERT(RAND_bytes(out.data(), static_cast<int>(out.size())) == 1);
}

class Connection {
 public:
  Connection(ByteStream& stream, const Settings& settings, const Shape& shape,
             const std::function<void(milliseconds)>& wait)
      : stream_(stream), settings_(settings), shape_(shape), wait_(wait) {
    for (const NamedGroup group : settings.groups) keys_.emplace_back(group);
  }

  void run() {
    try {
      shake_hands();
    } catch (const tls::ServerFault&) {
      say_farewell();
      throw;
    }
    // As a real one: CCS, Finished and the request in one flight.
    Bytes flight = machine_->client_finished_record(schedule_->c_hs());
    append(flight, request());
    const auto waited =
        std::chrono::duration_cast<milliseconds>(steady_clock::now() - server_hello_at_);
    if (waited < shape_.pause) wait_(shape_.pause - waited);
    stream_.write(flight);
    drop_answer();
  }

 private:
  void shake_hands() {
    tls::ClientHelloInput hello;
    hello.host = settings_.host;
    hello.suite = settings_.suite;
    for (const LocalKey& key : keys_) hello.key_shares.push_back(key.share());
    share_one_key(hello.key_shares);
    hello.held_back = tls::held_back_of(settings_.groups, settings_.likely_curve);
    hello.status_request = settings_.handshake.status_request;
    fill_random(hello.random);
    fill_random(hello.session_id);
    machine_.emplace(settings_.handshake, hello);
    stream_.write(machine_->client_hello_record());
    const tls::Event server = await(tls::EventKind::kServerHello, {});
    server_hello_at_ = steady_clock::now();
    schedule_.emplace(secret_with(server.key_share), server.digest, settings_.suite->hash());
    h2_ = await(tls::EventKind::kServerFinished, machine_->set_server_secret(schedule_->s_hs()))
              .digest;
  }

  /// One X25519 key in both entries, as the members have it (tls-complete.md §1.1).
  void share_one_key(std::vector<tls::KeyShare>& shares) {
    const auto find = [&](NamedGroup group) {
      return std::find_if(shares.begin(), shares.end(),
                          [&](const tls::KeyShare& one) { return one.group == group; });
    };
    const auto kem = find(NamedGroup::kX25519MlKem768), plain = find(NamedGroup::kX25519);
    if (kem == shares.end() || plain == shares.end()) return;
    constexpr ptrdiff_t kPoint = 32;
    std::copy(plain->key.begin(), plain->key.end(), kem->key.end() - kPoint);
    one_key_ = true;
  }

  Bytes secret_with(const tls::KeyShare& share) {
    const auto key = [&](NamedGroup group) -> const LocalKey& {
      return *std::find_if(keys_.begin(), keys_.end(),
                           [&](const LocalKey& one) { return one.group() == group; });
    };
    std::optional<Bytes> out = key(share.group).secret(share.key);
    if (out && one_key_ && share.group == NamedGroup::kX25519MlKem768) {
      // ML-KEM's half of it, and the other with the key that stood in the hello.
      const ByteView point = tls::curve_share(share.group, share.key);
      const auto x = key(NamedGroup::kX25519).secret(Bytes(point.begin(), point.end()));
      if (x) std::copy(x->begin(), x->end(), out->end() - static_cast<ptrdiff_t>(x->size()));
    }
    if (out) return *out;
    machine_->refuse_key_share();
  }

  tls::Event await(tls::EventKind kind, std::vector<tls::Event> events) {
    while (true) {
      for (tls::Event& event : events) {
        if (event.kind == kind) return std::move(event);
        if (event.kind == tls::EventKind::kHelloRetry) {
          stream_.write(machine_->client_hello_record());
        }
      }
      const Bytes piece = stream_.read_some(kPieceBytes);
      if (piece.empty()) machine_->end_of_stream();  // throws
      events = machine_->feed(piece);
    }
  }

  void say_farewell() noexcept {
    try {
      const bool sealed = schedule_ && machine_->owes_sealed_alert();
      const Bytes alert =
          sealed ? machine_->sealed_alert_record(schedule_->c_hs()) : machine_->alert_record();
      if (!alert.empty()) stream_.write(alert);
    } catch (...) {  // it does not listen any more
    }
  }

  /// As many bytes of it in a record as fit, with one left for each behind it.
  Bytes request() const {
    const std::string text = request_text(settings_);
    const tls::TrafficKeys keys = tls::traffic_keys(schedule_->c_ap(h2_), *settings_.suite);
    Bytes out;
    size_t at = 0;
    for (size_t k = 0; k < shape_.record_bytes.size(); ++k) {
      const size_t behind = shape_.record_bytes.size() - 1 - k;
      const size_t size = std::min(shape_.record_bytes[k] - 1, text.size() - at - behind);
      Bytes inner = to_bytes(text.substr(at, size));
      at += size;
      inner.push_back(static_cast<uint8_t>(tls::ContentType::kApplicationData));
      inner.resize(shape_.record_bytes[k]);
      // The last byte stands where aead_seal() writes a type.
      const tls::ContentType last{inner.back()};
      inner.pop_back();
      append(out, tls::aead_seal(keys, k, last, inner));
    }
    FLEXROOM_ASSERT(at == text.size());
    return out;
  }

  /// Up to where the members freeze an answer (tls-in-mpc.md §4.6); nobody opens it.
  void drop_answer() {
    std::vector<tls::RawRecord> records;
    const uint64_t request_offset = machine_->bytes_received();
    while (!machine_->application_fault() && machine_->bytes_received() < kMostBytes) {
      for (tls::RawRecord& record : machine_->take_application_records()) {
        records.push_back(std::move(record));
      }
      const auto quiet = tls::quiet_before_freeze(
          records, request_offset, machine_->has_partial_record(), settings_.await_close);
      const std::optional<Bytes> piece = quiet ? stream_.read_some_within(kPieceBytes, *quiet)
                                               : std::optional(stream_.read_some(kPieceBytes));
      if (!piece || piece->empty()) return;
      (void)machine_->feed(*piece);
    }
  }

  ByteStream& stream_;
  const Settings& settings_;
  const Shape& shape_;
  const std::function<void(milliseconds)>& wait_;
  std::deque<LocalKey> keys_;
  bool one_key_ = false;
  std::optional<tls::ClientHandshake> machine_;
  std::optional<LocalSchedule> schedule_;
  steady_clock::time_point server_hello_at_;
  tls::HashValue h2_;
};

}  // namespace

std::string request_text(const Settings& settings) {
  return settings.request + " HTTP/1.1\r\nHost: " + settings.host +
         "\r\nUser-Agent: flexroom\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n";
}

bool fits(const Settings& settings, const Shape& shape) {
  size_t room = 0;
  for (const size_t inner : shape.record_bytes) {
    if (inner < 2 || inner > tls::kMaxInner) return false;
    room += inner - 1;
  }
  const size_t text = request_text(settings).size();
  return text <= room && text >= shape.record_bytes.size() && !shape.record_bytes.empty();
}

void connect_once(ByteStream& stream, const Settings& settings, const Shape& shape,
                  const std::function<void(milliseconds)>& wait) {
  FLEXROOM_ASSERT(fits(settings, shape));
  Connection(stream, settings, shape, wait).run();
}

}  // namespace flexroom::cover
