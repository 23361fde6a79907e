#include "flexroom/engine.h"

#include <unistd.h>

#include <set>

#include "agent/connection.h"
#include "agent/memory_journal.h"
#include "base/codec.h"
#include "boolean/engine.h"
#include "circuits/aes128.h"
#include "circuits/sha256.h"
#include "http/template.h"
#include "net/tcp_mesh.h"
#include "net/tcp_stream.h"
#include "prep/memory_safety.h"
#include "prep/session_hello.h"
#include "prep/session_prep.h"
#include "room/failure.h"
#include "room/progress.h"
#include "tls/handshake.h"

namespace flexroom {
namespace {

[[noreturn]] void refuse(std::string_view place, std::string_view problem) {
  Error::Fields fields;
  fields.exit = Exit::kUsage;
  fields.kind = "error";
  fields.place = place;
  fields.problem = problem;
  fields.text = fields.place + ": " + fields.problem;
  throw Error(std::move(fields));
}

std::vector<uint8_t> bits_of_text(const std::string& text) {
  std::vector<uint8_t> out;
  for (const char c : text) {
    for (unsigned b = 0; b < 8; ++b) {
      out.push_back(static_cast<uint8_t>(static_cast<uint8_t>(c) >> b & 1));
    }
  }
  return out;
}

std::string text_of_bits(const std::vector<uint8_t>& bits) {
  std::string out(bits.size() / 8, '\0');
  for (size_t i = 0; i < bits.size(); ++i) {
    const auto byte = static_cast<uint8_t>(out[i / 8]);
    out[i / 8] = static_cast<char>(byte | (bits[i] & 1) << (i % 8));
  }
  return out;
}

}  // namespace

struct PartyIdentity::State {
  net::Identity identity;
};

PartyIdentity PartyIdentity::make(const std::string& name) {
  return room::translated({}, [&] {
    PartyIdentity out;
    out.state_ = std::make_shared<const State>(State{net::Identity::make(name)});
    return out;
  });
}
std::string PartyIdentity::fingerprint() const { return to_hex(state_->identity.fingerprint()); }

struct Circuit::State {
  std::shared_ptr<const mpc::Program> program;
};
uint64_t Circuit::num_ands() const { return state_->program->num_ands(); }

struct CircuitBuilder::State {
  std::unique_ptr<mpc::Builder> builder = std::make_unique<mpc::Builder>();
  std::vector<mpc::Bit> bits;
  std::set<std::string> names;

  void name(const std::string& given) {
    if (given.empty() || given.size() > 64) refuse("circuit", "a name has 1 to 64 characters");
    if (!names.insert(given).second) refuse("circuit: " + given, "is there twice");
  }
  mpc::Bits bits_of(const Wires& wires) const {
    mpc::Bits out;
    for (const Wire& wire : wires) {
      if (wire.index_ >= bits.size()) refuse("circuit", "a wire belongs to another builder");
      out.push_back(bits[wire.index_]);
    }
    return out;
  }
  Wires wires_of(const mpc::Bits& made) {
    Wires out;
    for (const mpc::Bit& bit : made) {
      Wire wire;
      wire.index_ = static_cast<uint32_t>(bits.size());
      bits.push_back(bit);
      out.push_back(wire);
    }
    return out;
  }
  Wires input(const std::string& given, mpc::InputKind kind, size_t owner, size_t bytes) {
    constexpr size_t kMaxBytes = size_t{1} << 24;
    if (bytes == 0 || bytes > kMaxBytes) refuse("circuit: " + given, "is empty or too long");
    name(given);
    return wires_of(builder->add_input(given, kind, static_cast<uint32_t>(8 * bytes),
                                       static_cast<PartyId>(owner)));
  }
  void output(const std::string& given, mpc::OutputKind kind, const Wires& wires) {
    const mpc::Bits made = bits_of(wires);
    if (made.empty() || made.size() % 8 != 0) refuse("circuit: " + given, "is no whole bytes");
    for (const mpc::Bit& bit : made) {
      if (bit.is_constant()) refuse("circuit: " + given, "has a constant bit");
    }
    name(given);
    builder->add_output(given, kind, made);
  }
  template <typename Gate>
  Wires gates(const Wires& a, const Wires& b, Gate gate) {
    if (a.size() != b.size()) refuse("circuit", "operands have different lengths");
    const mpc::Bits x = bits_of(a), y = bits_of(b);
    mpc::Bits out;
    for (size_t i = 0; i < x.size(); ++i) out.push_back(gate(x[i], y[i]));
    return wires_of(out);
  }
};

CircuitBuilder::CircuitBuilder() : state_(std::make_unique<State>()) {}
CircuitBuilder::~CircuitBuilder() = default;

Wires CircuitBuilder::private_input(const std::string& name, size_t owner, size_t bytes) {
  return state_->input(name, mpc::InputKind::kPriv, owner, bytes);
}
Wires CircuitBuilder::shared_input(const std::string& name, size_t bytes) {
  return state_->input(name, mpc::InputKind::kDyn, 0, bytes);
}
Wires CircuitBuilder::constant(const std::string& bytes) {
  return state_->wires_of(circuits::bits_of(circuits::constant_text(as_bytes(bytes))));
}
Wires CircuitBuilder::xor_of(const Wires& a, const Wires& b) {
  return state_->gates(a, b, [](mpc::Bit x, mpc::Bit y) { return x ^ y; });
}
Wires CircuitBuilder::and_of(const Wires& a, const Wires& b) {
  return state_->gates(a, b, [](mpc::Bit x, mpc::Bit y) { return x & y; });
}
Wires CircuitBuilder::not_of(const Wires& a) {
  mpc::Bits out = state_->bits_of(a);
  for (mpc::Bit& bit : out) bit = !bit;
  return state_->wires_of(out);
}
Wires CircuitBuilder::aes128(const Wires& key, const Wires& block) {
  if (key.size() != 128 || block.size() != 128) refuse("aes128", "key and block have 16 bytes");
  const auto block_of = [&](const Wires& wires) {
    return circuits::block_of(circuits::text_of(state_->bits_of(wires)));
  };
  return state_->wires_of(circuits::bits_of(circuits::text_of(
      circuits::aes128_encrypt(circuits::aes128_expand_key(block_of(key)), block_of(block)))));
}
Wires CircuitBuilder::sha256(const Wires& message) {
  if (message.size() % 8 != 0) refuse("sha256", "the message is no whole bytes");
  return state_->wires_of(circuits::bits_of(circuits::text_of(circuits::sha256_finish(
      circuits::sha256_initial(), 0, circuits::text_of(state_->bits_of(message))))));
}
void CircuitBuilder::open_to_all(const std::string& name, const Wires& wires) {
  state_->output(name, mpc::OutputKind::kOpenAll, wires);
}
void CircuitBuilder::keep(const std::string& name, const Wires& wires) {
  state_->output(name, mpc::OutputKind::kKeep, wires);
}
Circuit CircuitBuilder::finish() {
  Circuit out;
  out.state_ = std::make_shared<const Circuit::State>(Circuit::State{
      std::make_shared<const mpc::Program>(mpc::compile(state_->builder->finish()))});
  state_ = std::make_unique<State>();
  return out;
}

struct SharedBytes::State {
  const void* engine = nullptr;
  prep::AuthBits bits;
};
size_t SharedBytes::size() const { return state_->bits.size() / 8; }

struct Engine::State {
  State(const Options& options, const PartyIdentity& identity);
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const PartyAddress& address : options.parties) out.push_back(address.name);
    return out;
  }
  void told(std::string_view phase, uint64_t done, uint64_t total);
  /// What fails ends the engine and is told to the others.
  template <typename Body>
  auto guarded(Body body) {
    return room::translated(names(), [&] {
      if (dead) throw ProtocolAbort(AbortCode::kCancelled, "engine", "ended by an earlier failure");
      try {
        return body();
      } catch (...) {
        dead = true;
        party->abort();
        throw;
      }
    });
  }

  Options options;
  room::ProgressMeter meter;
  bool dead = false;
  uint64_t runs = 0;
  std::unique_ptr<net::Party> party;
  prep::EpochState epoch;
  prep::MemorySafety safety;
  agent::MemoryJournal journal;
  std::optional<prep::SessionPrep> source;
  std::optional<arith::ArithEngine> arith;
  std::optional<boolean::Engine> boolean;
};

void Engine::State::told(std::string_view phase, uint64_t done, uint64_t total) {
  if (options.cancel != nullptr && *options.cancel) {
    throw ProtocolAbort(AbortCode::kCancelled, "operator", "stopped");
  }
  if (!options.progress) return;
  if (const auto now = meter.update(phase, done, total)) options.progress(*now);
}

Engine::State::State(const Options& given, const PartyIdentity& identity) : options(given) {
  net::MeshConfig config;
  prep::EpochParameters parameters;
  for (const PartyAddress& address : options.parties) {
    const Digest pinned = net::parse_fingerprint(address.fingerprint, "party " + address.name);
    config.members.push_back({address.name, address.host, address.port, pinned});
    parameters.identities.emplace_back(pinned.begin(), pinned.end());
  }
  config.self = static_cast<PartyId>(options.self);
  config.listen_socket = options.listen_socket;
  config.connect_timeout = options.timeout;
  config.receive_timeout = options.timeout;
  config.cancel = options.cancel;
  config.room_digest = RandomOracle("engine without a room", {}).field("1").digest();
  party = std::make_unique<net::Party>(net::TcpMesh::join(config, identity.state_->identity),
                                       Prg::from_system());
  epoch = prep::setup_epoch(*party, parameters, &safety);
  prep::session_hello(*party, epoch, prep::kProtocol);
  source.emplace(
      *party, epoch, safety, prep::TripleParameters{},
      [this](std::string_view phase, uint64_t done, uint64_t total) { told(phase, done, total); });
  arith.emplace(*party, *source);
  boolean.emplace(*party, *source);
  boolean->set_progress([this](uint64_t done, uint64_t total) { told("garbling", done, total); });
  boolean->set_start_hook([this](const Digest& id) { journal.mark("instance", id); });
}

Engine::Engine(const Options& options, const PartyIdentity& identity) {
  if (options.parties.size() < 2 || options.self >= options.parties.size()) {
    refuse("parties", "there are two or more, and this is one of them");
  }
  std::vector<std::string> names;
  for (const PartyAddress& address : options.parties) names.push_back(address.name);
  room::translated(names, [&] {
    state_ = std::make_unique<State>(options, identity);
    return true;
  });
}
Engine::~Engine() = default;

CircuitOutputs Engine::run(const Circuit& circuit, const CircuitInputs& inputs) {
  State& state = *state_;
  const mpc::Program& program = *circuit.state_->program;
  boolean::OnlineInputs online;
  online.pub.resize(program.inputs.size());
  online.priv.resize(program.inputs.size());
  online.dyn.resize(program.inputs.size());
  for (size_t g = 0; g < program.inputs.size(); ++g) {
    const mpc::InputGroup& group = program.inputs[g];
    if (group.kind == mpc::InputKind::kDyn) {
      const auto given = inputs.shared.find(group.name);
      if (given == inputs.shared.end() || 8 * given->second.size() != group.size) {
        refuse("input " + group.name, "is not given, or of another length");
      }
      if (given->second.state_->engine != &state) refuse("input " + group.name, "is not of here");
      online.dyn[g] = &given->second.state_->bits;
    } else if (group.owner >= state.options.parties.size()) {
      refuse("input " + group.name, "belongs to nobody");
    } else if (group.owner == state.options.self) {
      const auto given = inputs.mine.find(group.name);
      if (given == inputs.mine.end() || 8 * given->second.size() != group.size) {
        refuse("input " + group.name, "is not given, or of another length");
      }
      online.priv[g] = bits_of_text(given->second);
    }
  }
  CircuitOutputs out = state.guarded([&] {
    const std::string name = "circuit " + std::to_string(state.runs++);
    online.view = RandomOracle("view", state.party->scope()).field(name).digest();
    const auto instance = state.boolean->prepare(circuit.state_->program, {}, name);
    boolean::Outputs made = state.boolean->run(*instance, online);
    state.boolean->confirm(*instance);
    CircuitOutputs result;
    for (size_t g = 0; g < program.outputs.size(); ++g) {
      const auto& group = program.outputs[g];
      if (group.kind == mpc::OutputKind::kOpenAll) {
        result.opened[group.name] = text_of_bits(made.opened[g]);
        continue;
      }
      SharedBytes kept;
      kept.state_ = std::make_shared<const SharedBytes::State>(
          SharedBytes::State{&state, std::move(made.kept[g])});
      result.kept.emplace(group.name, std::move(kept));
    }
    return result;
  });
  for (auto& bits : online.priv) wipe(bits.data(), bits.size());
  return out;
}

namespace {

/// `run` numbers the requests of one engine.
agent::ConnectionConfig connection_config(const TlsRequest& request, const Groups& groups,
                                          const RoScope& scope, uint64_t run) {
  agent::ConnectionConfig config;
  config.host = request.host;
  config.groups = groups;
  config.courier = 1;
  config.no_secret = true;
  config.policy = RandomOracle("engine request", scope)
                      .field(request.host)
                      .field(uint64_t{request.port})
                      .field(request.text)
                      .field(run)
                      .digest();
  tls::TrustStore trust = request.ca_file.empty()
                              ? tls::TrustStore::system()
                              : tls::TrustStore::from_files({request.ca_file}, request.host);
  config.handshake =
      tls::handshake_config({request.host, std::move(trust),
                             [] { return std::chrono::system_clock::now(); }, std::nullopt});
  return config;
}

}  // namespace

ServiceAnswer Engine::request(const TlsRequest& request) {
  State& state = *state_;
  if (request.text.empty() || request.text.size() > http::kMaxRequest) {
    refuse("request", "has 1 to 65,536 bytes");
  }
  const auto group = parse_named_group(request.group);
  if (!group && !request.group.empty())
    refuse("group", to_string(all_groups()) + ", or nothing for all");
  const Groups groups = group ? Groups{*group} : all_groups();
  agent::Request text;
  text.text = to_bytes(request.text);
  text.method = request.text.substr(0, request.text.find(' '));
  bool released = false;
  try {
    return state.guarded([&] {
      const agent::ConnectionConfig config =
          connection_config(request, groups, state.party->scope(), state.runs++);
      text.id = config.policy;
      agent::RequestPlan plan;
      plan.bytes = text.text.size();
      agent::Connection connection(
          {*state.party, *state.source, *state.arith, *state.boolean, state.journal}, config, plan);
      agent::Timeline timeline(*state.party,
                               [&](std::string_view phase) { state.told(phase, 0, 0); });
      connection.prepare(timeline);
      const auto connect = [&] {
        const bool elsewhere = !request.connect_host.empty();
        return net::connect_tcp(elsewhere ? request.connect_host : request.host,
                                elsewhere ? request.connect_port : request.port,
                                state.options.timeout, [&] { state.party->transport().check(); });
      };
      struct AtEnd {
        const agent::Connection& connection;
        bool& released;
        ~AtEnd() { released = connection.released(); }
      } const at_end{connection, released};
      const agent::Reply reply = connection.call(text, connect, timeline);
      timeline.end();
      agent::require_answer(reply, "answer");
      return ServiceAnswer{reply.response.status, reply.response.headers,
                           to_text(reply.response.body)};
    });
  } catch (const Error& error) {
    if (!released) throw;
    throw Error(room::describe(error, true, state.names()));
  }
}

}  // namespace flexroom
