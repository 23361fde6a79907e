#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/secret.h"
#include "boolean/engine.h"
#include "http/template.h"
#include "mpc/program.h"

namespace flexroom::agent {

/// A slot of a request and its place there.
struct PlacedSlot {
  http::Slot slot;     // all but kComputed
  size_t offset = 0;   // of its first encoded byte in the request
  PartyId member = 0;  // kMember: whose value it is
  /// It is part of a PlacedBase64, where its bytes go; `offset` is of that.
  bool in_base64 = false;
  bool next_code = false;  // kTotp: the code of the step behind the agreed one
};

/// Base64 text of a form in which slots stand (http::Base64Text), and its place.
struct PlacedBase64 {
  http::Base64Text text;
  size_t offset = 0;  // of its first encoded byte in the request
};

/// GC-P of recipes: encodes stored secrets, members' private values and nonces as their slots say,
/// checks the class of what members give, and hashes a body that has such slots (tls-in-mpc.md
/// §5.2, §5.3, §6.2). Runs before the connection and holds no value of one, so that stored secrets
/// may be inputs here (rule R0, §2.6).
///
/// Inputs   dyn "secret_<slot>", 8 bits a byte; priv "private_<slot>" of its member, 7 bits a byte
///          if its class is ASCII, else 8; zero "nonce_<slot>", 4 bits a hex digit; dyn
///          "totp_<slot>", 8 bits a byte of the key, and pub "totp_step" and, for the code of the
///          step behind it, "totp_next" (circuits/totp.h)
/// Opened   "ok": one bit for each slot of a member, 1 if all its bytes are in the slot's class. No
///          bit about a stored secret: its class was established when it was stored.
///          "body_hash" 256 bits, byte 0 first, only if asked for: the caller has seen to it that a
///          nonce hides it
/// Kept     "chars": the bits of the encoded text that are not constant
/// Size     16 ANDs a base64 character and 4 more with %XX; 8 a byte of hex, %XX, \u00xx; at most
///          23 a byte that is checked; 22 573 a hashed block from the first with a slot on; a TOTP
///          code of a key of 20 bytes 41 537
struct SlotCircuit {
  std::shared_ptr<const mpc::Program> program;
  std::vector<PlacedSlot> slots;      // ascending
  std::vector<size_t> checked;        // of `slots`, order of "ok"
  Bytes public_text;                  // the request, constant bits in place, secret bits 0
  std::vector<uint32_t> secret_bits;  // positions (8 * byte + bit) of "chars", ascending
  bool hashes_body = false;
  bool has_totp = false;
};

/// `text` is the request with zeros where slots are. `body_start`: hash text[body_start..]. The
/// slots of `base64` stand in `slots` too.
SlotCircuit build_slot_circuit(ByteView text, std::vector<PlacedSlot> slots,
                               std::optional<size_t> body_start,
                               const std::vector<PlacedBase64>& base64 = {});

struct JweText;

/// By name of the slot.
struct SlotValues {
  std::map<std::string, const prep::AuthBits*> secrets;  // 8 bits a byte; of kTotp the key
  std::map<std::string, const JweText*> jwes;            // computed before, no slots of the circuit
  std::map<std::string, SecretBytes> own;                // this member's private values
};

/// What goes into the request.
struct FilledSlots {
  std::optional<Digest> body_hash;
  prep::AuthBits bits;  // one share per SlotCircuit::secret_bits
};

/// Offline half.
std::unique_ptr<boolean::Instance> prepare_slots(boolean::Engine& engine, prep::Source& source,
                                                 const SlotCircuit& circuit);

/// `totp_step`: Unix seconds / 30, agreed by all, if the circuit has a code. Throws
/// ProtocolAbort(kRefusedByRule) naming the member whose value has a byte outside its class;
/// nothing but that fact is shown.
FilledSlots run_slots(net::Party& party, boolean::Engine& engine, boolean::Instance& instance,
                      const SlotCircuit& circuit, const SlotValues& values, uint64_t totp_step = 0);

}  // namespace flexroom::agent
