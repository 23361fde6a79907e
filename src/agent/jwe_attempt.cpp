#include "agent/jwe_attempt.h"

#include <algorithm>

#include "agent/secret_gcm_tag.h"
#include "agent/wires.h"
#include "arith/coefficients.h"
#include "arith/rsa_blinding.h"
#include "base/base64.h"
#include "mpc/program_cache.h"
#include "prep/ghash.h"

namespace flexroom::agent {
namespace {

constexpr std::string_view kLabel = "jwe/agreed";
constexpr size_t kIvBytes = 12;

struct TextProgram {
  std::shared_ptr<const mpc::Program> program;
  Bytes public_text;
  std::vector<uint32_t> secret_bits;
};

std::shared_ptr<const mpc::Program> encryption_program(const circuits::JweShape& shape) {
  static mpc::ProgramCache made;
  const std::string key =
      std::to_string(static_cast<int>(shape.hash)) + "/" + std::to_string(shape.cek_bytes) + "/" +
      std::to_string(shape.modulus_bytes) + "/" + std::to_string(shape.num_parties) + "/" +
      std::to_string(shape.secret_bytes);
  return made.get(key, [&] { return circuits::jwe_encryption(shape); });
}

TextProgram text_program(size_t secret_bytes) {
  circuits::JweTextCircuit made = circuits::jwe_text(secret_bytes);
  return {std::make_shared<const mpc::Program>(mpc::compile(made.circuit)),
          std::move(made.public_text), std::move(made.secret_bits)};
}

/// Everything public that the members must mean alike.
Digest agreed_digest(const net::Party& party, const JweRequest& request) {
  return RandomOracle("jwe", party.scope())
      .field(request.method.algorithm_name())
      .field(request.method.encryption_name())
      .field(request.key.digest())
      .field(request.header)
      .field(uint64_t{request.secret_bytes})
      .field(request.request_id)
      .digest();
}

void require_agreement(net::Party& party, const Digest& agreed) {
  const auto all = party.exchange(kLabel, agreed);
  for (const PartyId j : party.peers()) {
    if (!std::equal(agreed.begin(), agreed.end(), all[j].begin(), all[j].end())) {
      throw ProtocolAbort(AbortCode::kDisagreement, kLabel,
                          "that member encrypts for another key, header, length or request", j);
    }
  }
}

/// 2^(l+1) - N, l + 1 bits, for a modulus of l bits, most significant byte first.
std::vector<uint8_t> negated_bits(ByteView modulus) {
  std::vector<uint8_t> bits;
  uint8_t carry = 1;  // two's complement
  for (size_t t = 0; t <= 8 * modulus.size(); ++t) {
    const size_t byte = t / 8;
    const unsigned bit =
        byte < modulus.size() ? modulus[modulus.size() - 1 - byte] >> (t % 8) & 1u : 0u;
    const unsigned sum = (bit ^ 1u) + carry;
    bits.push_back(static_cast<uint8_t>(sum & 1));
    carry = static_cast<uint8_t>(sum >> 1);
  }
  return bits;
}

/// Bits of an integer, bit 0 first, to its bytes, most significant first.
Bytes integer_bytes(const std::vector<uint8_t>& bits) {
  Bytes out = bytes_of_bits(bits);
  std::reverse(out.begin(), out.end());
  return out;
}

/// A caller that uses an id twice is refused (tls-in-mpc.md §5.9(7)): no member cheated and nothing
/// of this attempt has left, so that no epoch burns for it as for other marks.
void mark_request(Journal& journal, const Digest& request_id) {
  try {
    journal.mark("jwe", request_id);
  } catch (const ProtocolAbort& abort) {
    if (abort.code() != AbortCode::kReuse) throw;
    throw ProtocolAbort(AbortCode::kRefusedByRule, "jwe",
                        "a JWE was made for this request id before: another one takes a fresh id");
  }
}

}  // namespace

struct JweAttempt::State {
  State(const Context& c, JweRequest r) : context(c), request(std::move(r)) {}

  void prepare(const prep::AuthBits& secret);
  void encrypt();
  boolean::OnlineInputs first_inputs() const;
  Digest view(std::string_view step) const;
  void write(ByteView encrypted_key, prep::AuthBits chars);

  Context context;
  JweRequest request;
  Digest attempt{};  // scopes hashes and coins of this attempt
  Bytes iv;
  TextProgram tail;
  std::unique_ptr<arith::RsaBlinding> blinding;
  std::optional<SecretGcmTag> tag;
  std::unique_ptr<boolean::Instance> encryption, text_instance;
  uint64_t num_ands = 0;
  bool started = false;
  std::optional<JweText> text;
};

void JweAttempt::State::prepare(const prep::AuthBits& secret) {
  request.require_bounds();
  FLEXROOM_ASSERT(secret.size() == 8 * request.secret_bytes);
  net::Party& party = context.party;
  prep::Source& source = context.source;
  const Digest agreed = agreed_digest(party, request);
  require_agreement(party, agreed);
  attempt =
      RandomOracle("jwe attempt", party.scope(), party.next_counter("jwe")).field(agreed).digest();
  const Digest coin = party.coin("jwe/iv");
  iv.assign(coin.begin(), coin.begin() + kIvBytes);
  blinding = context.arith.guarded(
      [&] { return arith::RsaBlinding::make(party, source, request.key, attempt); });
  const size_t aad_bytes = base64url_encode(as_bytes(request.header)).size();
  tag.emplace(source, aad_bytes, request.secret_bytes);

  const auto program = encryption_program(request.shape(party.num_parties()));
  std::vector<prep::AuthBits> zero(program->inputs.size());
  zero[program->input_group("cek")] = source.random_bits(8 * request.method.cek_bytes());
  zero[program->input_group("seed")] =
      source.random_bits(8 * circuits::oaep_hash_bytes(request.method.hash()));
  zero[program->input_group("secret")] = secret.clone();
  zero[program->input_group("r")] = tag->hash_key_mask();
  for (PartyId i = 0; i < party.num_parties(); ++i) {
    zero[program->input_group("mask_" + std::to_string(i))] = blinding->mask_bits(i);
  }
  tail = text_program(request.secret_bytes);
  std::vector<boolean::Preparation> both;
  both.push_back({program, std::move(zero), "jwe encryption"});
  both.push_back(
      {tail.program, std::vector<prep::AuthBits>(tail.program->inputs.size()), "jwe text"});
  std::vector<std::unique_ptr<boolean::Instance>> made = context.engine.prepare(std::move(both));
  encryption = std::move(made[0]);
  text_instance = std::move(made[1]);
  num_ands = uint64_t{program->num_ands()} + tail.program->num_ands();
}

Digest JweAttempt::State::view(std::string_view step) const {
  return RandomOracle("view", context.party.scope())
      .field("jwe")
      .field(step)
      .field(attempt)
      .field(iv)
      .digest();
}

boolean::OnlineInputs JweAttempt::State::first_inputs() const {
  const mpc::Program& program = encryption->program();
  boolean::OnlineInputs inputs = empty_inputs(program);
  inputs.view = view("encryption");
  inputs.pub[program.input_group("minus_modulus")] = negated_bits(request.key.modulus());
  inputs.pub[program.input_group("iv")] = bits_of_bytes(iv);
  return inputs;
}

// The order of operations (e) 2. Nothing that depends on c leaves before all s_i are fixed.
void JweAttempt::State::encrypt() {
  mark_request(context.journal, request.request_id);
  context.arith.guarded([&] { blinding->publish_powers(); });
  const mpc::Program& program = encryption->program();
  boolean::Outputs outputs = context.engine.run(*encryption, first_inputs());
  const Bytes c = integer_bytes(outputs.opened[program.output_group("c")]);
  const Bytes encrypted_key = context.arith.guarded([&] { return blinding->encrypt(c); });
  blinding.reset();

  const prep::AuthBits ciphertext = std::move(outputs.kept[program.output_group("ciphertext")]);
  const std::string aad = base64url_encode(as_bytes(request.header));
  const Block d = prep::ghash_block(bytes_of_bits(outputs.opened[program.output_group("d")]));
  const prep::AuthBits tag_bits = tag->tag(context.party, context.source, d, as_bytes(aad),
                                           ciphertext, outputs.kept[program.output_group("j0")]);
  tag.reset();

  boolean::OnlineInputs inputs = empty_inputs(*tail.program);
  inputs.view = view("text");
  inputs.dyn[tail.program->input_group("ciphertext")] = &ciphertext;
  inputs.dyn[tail.program->input_group("tag")] = &tag_bits;
  boolean::Outputs characters = context.engine.run(*text_instance, inputs);
  context.engine.confirm(*encryption);
  context.engine.confirm(*text_instance);
  write(encrypted_key, std::move(characters.kept[tail.program->output_group("chars")]));
  encryption.reset();
  text_instance.reset();
}

void JweAttempt::State::write(ByteView encrypted_key, prep::AuthBits chars) {
  std::string head = base64url_encode(as_bytes(request.header)) + "." +
                     base64url_encode(encrypted_key) + "." + base64url_encode(iv) + ".";
  JweText out;
  out.public_text = to_bytes(head);
  append(out.public_text, tail.public_text);
  FLEXROOM_ASSERT(out.public_text.size() == request.text_bytes());
  for (const uint32_t position : tail.secret_bits) {
    out.secret_bits.push_back(static_cast<uint32_t>(8 * head.size()) + position);
  }
  out.bits = std::move(chars);
  text = std::move(out);
}

JweAttempt::JweAttempt(const Context& context, JweRequest request, const prep::AuthBits& secret)
    : state_(std::make_unique<State>(context, std::move(request))) {
  state_->prepare(secret);
}
JweAttempt::~JweAttempt() = default;
JweAttempt::JweAttempt(JweAttempt&&) noexcept = default;
JweAttempt& JweAttempt::operator=(JweAttempt&&) noexcept = default;

uint64_t JweAttempt::num_ands() const {
  FLEXROOM_ASSERT(state_ != nullptr);
  return state_->num_ands;
}

void JweAttempt::encrypt() {
  if (state_ == nullptr || state_->started) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, "jwe",
                        "this attempt was used: another JWE takes a fresh attempt");
  }
  state_->started = true;
  try {
    state_->encrypt();
  } catch (...) {
    retire();
    throw;
  }
}

const JweText& JweAttempt::text(const Digest& request_id) const {
  if (state_ == nullptr || !state_->text) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, "jwe",
                        "this attempt has no text, or none any more");
  }
  if (request_id != state_->request.request_id) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, "jwe", "this JWE was made for another request");
  }
  return *state_->text;
}

void JweAttempt::retire() noexcept { state_.reset(); }

uint64_t jwe_num_ands(const circuits::JweShape& shape) {
  return uint64_t{encryption_program(shape)->num_ands()} +
         circuits::jwe_text(shape.secret_bytes).circuit.num_ands;
}

}  // namespace flexroom::agent
