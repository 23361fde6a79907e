#pragma once

#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "net/party.h"
#include "support/memory_mesh.h"

namespace flexroom::support {

/// How a party's run ended: a value, or an abort.
template <typename T>
struct Outcome {
  std::optional<T> value;
  std::optional<ProtocolAbort> abort;
  std::optional<AbortCode> code() const {
    return abort ? std::optional<AbortCode>(abort->code()) : std::nullopt;
  }
};

template <typename T>
struct Run {
  std::vector<Outcome<T>> outcomes;   // by party
  std::vector<net::MessageId> trace;  // every message that left, by sender, then in order
};

/// Runs `protocol(party)` for n parties, one thread each, over the memory mesh. `tamper` sees (and
/// may alter) every message of the parties in `corrupted` (all parties if empty). Seeds are fixed,
/// so that traffic is reproducible. Any exception that is not a ProtocolAbort fails the test.
template <typename Protocol>
auto run_parties(size_t num_parties, Protocol protocol, net::Tamper tamper = nullptr,
                 std::chrono::milliseconds timeout = std::chrono::seconds(60), uint64_t seed = 1) {
  using T = std::invoke_result_t<Protocol, net::Party&>;
  static_assert(!std::is_void_v<T>, "let the protocol return something, such as bool");
  Run<T> run;
  run.outcomes.resize(num_parties);
  auto transports = memory_mesh(num_parties, timeout);
  std::vector<std::vector<net::MessageId>> traces(num_parties);
  std::vector<std::exception_ptr> bugs(num_parties);
  std::mutex tamper_mutex;
  std::vector<std::thread> threads;
  for (PartyId i = 0; i < num_parties; ++i) {
    threads.emplace_back([&, i, transport = std::move(transports[i])]() mutable {
      net::Party party(std::move(transport), Prg(Block(seed, i + 1)));
      RoScope scope;
      scope.eid[0] = 1;
      scope.sid[0] = 2;
      party.set_scope(scope);
      std::vector<Block> zero_keys(num_parties);
      for (PartyId j = 0; j < num_parties; ++j) {
        zero_keys[j] = Block(77 + std::min(i, j), 99 + std::max(i, j));
      }
      party.set_zero_keys(std::move(zero_keys));
      if (tamper) {
        party.set_tamper([&](const net::MessageId& message, Bytes& payload) {
          const std::lock_guard lock(tamper_mutex);
          tamper(message, payload);
        });
      }
      party.set_observer(
          [&traces, i](const net::MessageId& message, ByteView) { traces[i].push_back(message); });
      try {
        run.outcomes[i].value.emplace(protocol(party));
      } catch (const ProtocolAbort& abort) {
        run.outcomes[i].abort.emplace(abort);
        party.abort();
      } catch (...) {
        bugs[i] = std::current_exception();
        party.abort();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& bug : bugs) {
    if (bug) std::rethrow_exception(bug);
  }
  for (const auto& trace : traces) run.trace.insert(run.trace.end(), trace.begin(), trace.end());
  return run;
}

/// How a party ended, by `attempt()`, in a run where several parties may notice a lie: the slower
/// one may see the other's abort instead of the lie, so that is tried again.
template <typename Attempt>
std::optional<AbortCode> decided_code(Attempt attempt) {
  std::optional<AbortCode> code;
  for (unsigned tries = 0; tries < 50; ++tries) {
    code = attempt();
    if (code != AbortCode::kCancelled && code != AbortCode::kPeerLost) break;
  }
  return code;
}

/// Flips bit `bit` of byte `byte` (counted modulo the length) of exactly that message.
inline net::Tamper flip_bit_of(net::MessageId target, size_t byte = 0, unsigned bit = 0) {
  return [target, byte, bit](const net::MessageId& message, Bytes& payload) {
    if (message.sender == target.sender && message.receiver == target.receiver &&
        message.label == target.label && message.index == target.index && !payload.empty()) {
      payload[byte % payload.size()] ^= static_cast<uint8_t>(1u << (bit % 8));
    }
  };
}

}  // namespace flexroom::support
