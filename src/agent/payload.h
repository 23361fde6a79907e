#pragma once

#include <memory>
#include <vector>

#include "agent/secret_text.h"
#include "base/hash.h"
#include "boolean/engine.h"
#include "mpc/program.h"

namespace flexroom::agent {

/// GC-P: turns members' private strings into the secret characters of a form body and hashes the
/// body (tls-in-mpc.md §6.2). Runs before the connection; holds no value of one.
///
/// Inputs   priv "private_<i>": 7 bits a byte, of each member that has private bytes; zero "nonce":
///          128 random bits that nobody knows
/// Opened   "payload_hash" 256 bits, byte 0 first, and "ok": one
///          bit a member with private bytes, 1 if they are all of private_link_class(). The hash is
///          hiding because the first secret block holds the nonce
/// Kept     "chars": the bits of the secret characters that are not constant
/// Size     22 573 ANDs a body block from the first secret one on, 17 a character, up to 21 a
///          private byte
struct PayloadCircuit {
  std::shared_ptr<const mpc::Program> program;
  std::vector<PartyId> members;  // that have private bytes, ascending; order of "ok"
  Bytes public_text;             // the body with all constant bits in place, secret bits 0
  std::vector<uint32_t>
      secret_bits;  // positions (8 * byte + bit) of "chars" in the body, ascending
};

PayloadCircuit build_payload_circuit(const SecretText& text);

/// What the payload phase gives to the request.
struct Payload {
  Digest hash{};
  prep::AuthBits secret;  // one share per PayloadCircuit::secret_bits
};

/// Offline half: garbles GC-P.
std::unique_ptr<boolean::Instance> prepare_payload(boolean::Engine& engine, prep::Source& source,
                                                   const PayloadCircuit& circuit);

/// Runs GC-P. `own_private` is this member's private string (empty if it has none). Throws
/// ProtocolAbort(kRefusedByRule) naming the member if some private byte is outside the class;
/// nothing but that fact is shown, and no request is made.
Payload run_payload(net::Party& party, boolean::Engine& engine, boolean::Instance& instance,
                    const PayloadCircuit& circuit, std::string_view own_private);

}  // namespace flexroom::agent
