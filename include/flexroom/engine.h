#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "flexroom/decider.h"
#include "flexroom/error.h"
#include "flexroom/session.h"

namespace flexroom {

/// The engines without a room: parties that know each other's certificates compute together, and
/// nothing is kept on disk. Whoever needs approvals, a log, stored secrets or a memory of what was
/// used before takes a Room and a Session.

/// Keys and self-signed certificate of one party, made here, in memory.
class PartyIdentity {
 public:
  static PartyIdentity make(const std::string& name);
  /// SHA-256 of the certificate, hexadecimal: the other parties pin it.
  std::string fingerprint() const;

 private:
  friend class Engine;
  struct State;
  std::shared_ptr<const State> state_;
};

struct PartyAddress {
  std::string name;
  std::string host;
  uint16_t port = 0;
  std::string fingerprint;  // of its PartyIdentity
};

/// A wire of a circuit that is being written.
class Wire {
 private:
  friend class CircuitBuilder;
  uint32_t index_ = 0;
};
using Wires = std::vector<Wire>;  // byte k is wires 8k .. 8k+7, least significant bit first

/// A finished circuit: the same at every party.
class Circuit {
 public:
  uint64_t num_ands() const;

 private:
  friend class CircuitBuilder;
  friend class Engine;
  struct State;
  std::shared_ptr<const State> state_;
};

/// Writes a circuit; XOR and NOT cost nothing, every AND costs one garbled gate. Inputs and outputs
/// have names, each once. Throws Error (Exit::kUsage) for a wrong length or name.
class CircuitBuilder {
 public:
  CircuitBuilder();
  ~CircuitBuilder();
  CircuitBuilder(const CircuitBuilder&) = delete;
  CircuitBuilder& operator=(const CircuitBuilder&) = delete;

  /// Bytes that one party knows and gives to Engine::run().
  Wires private_input(const std::string& name, size_t owner, size_t bytes);
  /// Bytes that an earlier circuit of the same engine kept shared.
  Wires shared_input(const std::string& name, size_t bytes);
  Wires constant(const std::string& bytes);

  Wires xor_of(const Wires& a, const Wires& b);
  Wires and_of(const Wires& a, const Wires& b);
  Wires not_of(const Wires& a);
  /// One block under a 16-byte key (FIPS 197): 6,400 ANDs.
  Wires aes128(const Wires& key, const Wires& block);
  /// Of a message of any length in whole bytes (FIPS 180-4): up to 22,573 ANDs a block.
  Wires sha256(const Wires& message);

  /// All parties learn these bytes. Not of constants: everybody knows those.
  void open_to_all(const std::string& name, const Wires& wires);
  /// Nobody learns these; every party keeps an authenticated share.
  void keep(const std::string& name, const Wires& wires);

  /// The builder is empty afterwards.
  Circuit finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Bytes of which every party holds an authenticated share; of one engine.
class SharedBytes {
 public:
  size_t size() const;

 private:
  friend class Engine;
  struct State;
  std::shared_ptr<const State> state_;
};

struct CircuitInputs {
  std::map<std::string, std::string> mine;    // this party's private inputs, by name
  std::map<std::string, SharedBytes> shared;  // by name
};
struct CircuitOutputs {
  std::map<std::string, std::string> opened;
  std::map<std::string, SharedBytes> kept;
};

/// One request of a TLS 1.3 client whose keys nobody holds.
struct TlsRequest {
  std::string host;  // SNI, and the name in the certificate
  uint16_t port = 443;
  std::string connect_host;  // where the courier connects; empty: host and port
  uint16_t connect_port = 0;
  std::string ca_file;  // PEM; empty: the system's trust store
  std::string group;    // "x25519mlkem768", "x25519" or "p256", if only one is to be offered
  std::string text;     // the whole HTTP request, public, with Connection: close
};

/// One party of n, up to n - 1 of which may be malicious (boolean-engine.md, tls-in-mpc.md).
///
/// Set-up     joins the others over mutual TLS with pinned certificates and sets up a fresh epoch
///            that dies with the object. All parties make the same calls in the same order
/// Guarantee  what is opened is the circuit's value on the inputs, or the call throws; nobody
///            learns anything else. request(): the service gets the request only if every honest
///            party released exactly that; the answer is what the service sent
/// Not given  fairness: a cheater may see an opened output and then abort
/// Errors     Error. After one, the engine refuses everything
/// Threads    one
class Engine {
 public:
  struct Options {
    std::vector<PartyAddress> parties;  // the same list at every party
    size_t self = 0;
    int listen_socket = -1;  // already listening, taken over; -1: parties[self].port
    std::chrono::milliseconds timeout = std::chrono::minutes(1);
    const std::atomic<bool>* cancel = nullptr;
    std::function<void(const Progress&)> progress;
  };
  Engine(const Options& options, const PartyIdentity& identity);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  CircuitOutputs run(const Circuit& circuit, const CircuitInputs& inputs);
  ServiceAnswer request(const TlsRequest& request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flexroom
